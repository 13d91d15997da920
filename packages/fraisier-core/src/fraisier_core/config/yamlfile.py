"""YAML whose every key and item remembers its line, read safely: bounded, without duplicates, without tags.

Plain scalars follow the core schema of YAML 1.2: `no`, `on` and dates are text. Keys are always text, so that
a branch may be called `2.0`. `${NAME}` needs no quotes between braces either, where YAML would want them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import Reader

from fraisier_core.errors import ConfigurationError

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
MAX_DEPTH = 40

Keys = tuple[str | int, ...]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + name for name in ("null", "bool", "int", "float", "timestamp", "value")}
_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_PLACEHOLDER = re.compile(r"\$\{([^{}\n]*)\}")
_STAND_INS = "\ue0f0\ue0f1", "\ue0f2"  # for `${` and `}`: of the same length, and nothing to YAML
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?")


class YamlError(Exception):
    """The text is not YAML that can be used: its line, counted from 1, and what is wrong there."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


class Document:
    """What a YAML text says, the line of each key and item, and which keys are there twice."""

    def __init__(self, root: Node | None) -> None:
        self.duplicates: list[tuple[Keys, int, int]] = []  # with the lines of the second and the first
        self.lines: dict[Keys, int] = {}
        self._nodes = 0
        self.value = self._value(root, ()) if root else None

    def only(self, names: Collection[str]) -> Document:
        """Return what it says of some keys at its top."""
        part = Document(None)
        value = self.value if isinstance(self.value, dict) else {}
        part.value = {name: value[name] for name in names if name in value}
        part.duplicates = [each for each in self.duplicates if each[0][0] in names]
        part.lines = self.lines
        return part

    def line(self, keys: Keys) -> int:
        """Return the line of the deepest part of `keys` that is there."""
        while keys not in self.lines and keys:
            keys = keys[:-1]
        return self.lines.get(keys, 1)

    def _value(self, node: Node, keys: Keys) -> object:
        self._count(node, keys)
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, keys)
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return self._sequence(node, keys)
        if isinstance(node, ScalarNode) and node.tag == _TAG + "str":
            return _written(node.value)
        if isinstance(node, ScalarNode) and node.tag in _PLAIN_TAGS:
            return _scalar(node.value)
        raise YamlError(_line(node), f"the tag {node.tag.replace(_TAG, '!!')} is not allowed")

    def _count(self, node: Node, keys: Keys) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(keys) > MAX_DEPTH:
            raise YamlError(_line(node), f"more than {MAX_NODES:,} values once aliases are expanded")

    def _sequence(self, node: SequenceNode, keys: Keys) -> list[object]:
        for index, item in enumerate(node.value):
            self.lines[*keys, index] = _line(item)
        return [self._value(item, (*keys, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, keys: Keys) -> dict[str, object]:
        found: dict[str, object] = {}
        own = [(key, value) for key, value in node.value if not _is_merge(key)]
        for key_node, value_node in own:
            key = _key(key_node)
            if key in found:
                self.duplicates.append(((*keys, key), _line(key_node), self.lines[*keys, key]))
                continue
            self.lines[*keys, key] = _line(key_node)
            found[key] = self._value(value_node, (*keys, key))
        for merged in self._merged(node, keys):
            for key_node, value_node in merged.value:
                if not _is_merge(key_node) and (key := _key(key_node)) not in found:
                    self.lines[*keys, key] = _line(key_node)
                    found[key] = self._value(value_node, (*keys, key))
        return found

    def _merged(self, node: MappingNode, keys: Keys) -> Iterator[MappingNode]:
        for key, value in node.value:
            if not _is_merge(key):
                continue
            for source in value.value if isinstance(value, SequenceNode) else [value]:
                self._count(source, keys)
                if not isinstance(source, MappingNode):
                    raise YamlError(_line(key), "<< takes a mapping, or a list of them")
                yield source
                yield from self._merged(source, (*keys, "<<"))


def read_document(text: str, path: Path) -> Document:
    """Return what the text of a file says. Raises `ConfigurationError`."""
    try:
        return parse_yaml(text)
    except YamlError as error:
        raise ConfigurationError([f"{path}:{error.line}: {error.problem}"]) from None


def parse_yaml(text: str) -> Document:
    """Return what one YAML document says. Raises `YamlError`, also for tags, its size and its depth."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise YamlError(1, f"larger than {MAX_BYTES:,} bytes")
    if unprintable := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, unprintable.start()) + 1
        column = unprintable.start() - text.rfind("\n", 0, unprintable.start())
        raise YamlError(line, f"column {column}: the character {unprintable[0]!r} is not allowed")
    text = _protected(text)
    try:
        _check_depth(text)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        from fraisier_core.config.yaml_syntax import syntax_problem  # only a wrong text needs it

        raise YamlError(*syntax_problem(error, text)) from None
    return Document(root)


def _check_depth(text: str) -> None:
    # Composing recurses in C, where a deep document overflows the stack and ends the process.
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH and event.start_mark:
            raise YamlError(event.start_mark.line + 1, f"nested deeper than {MAX_DEPTH} levels")


def _protected(text: str) -> str:
    """Return the text with stand-ins for the braces of placeholders."""
    opening, closing = _STAND_INS
    return text if opening in text or closing in text else _PLACEHOLDER.sub(rf"{opening}\1{closing}", text)


def _written(text: str) -> str:
    """Return what a scalar says without the stand-ins."""
    opening, closing = _STAND_INS
    return str(text).replace(opening, "${").replace(closing, "}") if opening in text else str(text)


def _is_merge(node: Node) -> bool:
    return bool(node.tag == _TAG + "merge")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _key(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise YamlError(_line(node), "a key must be text")
    return _written(node.value)


def _scalar(text: str) -> object:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
