"""Reading sections of the configuration, and collecting every problem with its line and key."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Set
from itertools import takewhile
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from fraisier_core.config.variables import MIN_SECRET_LENGTH, Substituted, uses_placeholders
from fraisier_core.config.yamlfile import Document, Keys
from fraisier_core.errors import ConfigurationError
from fraisier_core.text.suggestions import listing, nearest

Model = TypeVar("Model", bound=BaseModel)

MAX_SHOWN = 60
_WORDS = {
    "missing": "required key is missing",
    "model_type": "should be a mapping",
    "dict_type": "should be a mapping",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "string_type": "should be text, in quotes if YAML would read something else",
    "too_short": "should not be empty",
    "too_long": "should have at most {max_length} entries",
    "int_parsing": "should be a whole number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "greater_than": "should be greater than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "string_pattern_mismatch": "should match {pattern}",
}


class ConfigReader:
    """One configuration on its way in: its values, their lines, and the problems found so far."""

    def __init__(self, name: str, document: Document, substituted: Substituted) -> None:
        self._name = name
        self._document = document
        self._values = substituted
        self._problems: dict[str, int] = {}
        self.line = document.line
        self.secrets_at = substituted.secrets_at
        for keys, line, first in document.duplicates:
            self.refuse(keys, f"duplicate key, first on line {first}", line)
        for keys, problem in substituted.malformed.items():
            self.refuse(keys, problem)

    def value(self, keys: Keys) -> object:
        """Return the value at `keys`, None if there is none."""
        return value_at(self._values.value, keys)

    def mapping(self, keys: Keys, items: str) -> Mapping[str, object]:
        """Return the mapping at `keys`, empty if there is none; refuse anything but a mapping of `items`."""
        value = self.value(keys)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.refuse(keys, f"should be a mapping of {items}, found {_kind(value)}")
        return {}

    def public(self, keys: Keys, value: str | None) -> str | None:
        """Return a text for the record and for people: as it is written if it uses variables."""
        written = value_at(self._document.value, keys)
        return str(written) if uses_placeholders(written) else value

    def known(self, keys: Keys, leave: Collection[str] = ()) -> object:
        """Return the value at `keys` without entries whose variable is not set, and those to leave; `{}` if
        there is none.
        """
        value = self.value(keys)
        if isinstance(value, dict):
            left = {*self._values.unset, *((*keys, key) for key in leave)}
            return {key: item for key, item in value.items() if (*keys, key) not in left}
        return {} if value is None else value

    def read(
        self, model: type[Model], keys: Keys, value: object = None, *, secret: bool = False
    ) -> Model | None:
        """Return the section at `keys`, or None after collecting what is wrong; a secret is never shown."""
        try:
            return model.model_validate(self.value(keys) if value is None else value)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                self._refuse_detail(model, keys, detail, secret)
            return None

    def refuse(self, keys: Keys, problem: str, line: int | None = None) -> None:
        """Collect a problem with the value at `keys`, on its line unless another is given."""
        line = line or self.line(keys)
        self._problems[self.message(keys, problem, line)] = line

    def refuse_unknown(self, keys: Keys, known: Collection[str]) -> None:
        """Collect that the last of `keys` is none of the known ones."""
        match, empty = nearest(str(keys[-1]), known), self._empty_above(keys, known)
        offer = f'did you mean "{match}"?' if match else f"known here: {listing(known)}"
        if empty is not None and not match:
            offer = f"wrong indentation? `{empty}:` above has nothing below it"
        self.refuse(keys, f"unknown key; {offer}")

    def _empty_above(self, keys: Keys, known: Collection[str]) -> str | None:
        """Return the last known key above an unknown one, if it has no value."""
        found = self.value(keys[:-1])
        siblings = found if isinstance(found, dict) else {}
        above = [name for name in takewhile(lambda name: name != keys[-1], siblings) if name in known]
        return above[-1] if above and siblings[above[-1]] is None else None

    def unset(self) -> dict[Keys, str]:
        """Return a message for each unset variable, by the keys of the value that needs it."""
        return {keys: self.message(keys, problem) for keys, problem in self._values.unset.items()}

    def unset_under(self, keys: Keys) -> list[str]:
        """Return a message for each unset variable at or below `keys`."""
        return [message for place, message in self.unset().items() if place[: len(keys)] == keys]

    def message(self, keys: Keys, problem: str, line: int | None = None) -> str:
        """Return a problem as one line, without secrets: file, line, keys, problem."""
        for secret in self.secrets_at(()):
            problem = problem.replace(secret, "***")
        where = ".".join(map(str, keys))
        place = f"{self._name}:{line or self.line(keys)}"
        return f"{place}: {where}: {problem}" if where else f"{place}: {problem}"

    def finish(self) -> None:
        """Raise `ConfigurationError` with every problem collected, in the order of the file."""
        if self._problems:
            raise ConfigurationError(sorted(self._problems, key=self._problems.__getitem__))

    def _refuse_detail(
        self, model: type[BaseModel], section: Keys, detail: ErrorDetails, secret: bool
    ) -> None:
        location = detail["loc"]
        keys = section + self._present(section, location, detail["type"])
        if self._depends_on_unset(keys):
            return
        if detail["type"] == "extra_forbidden":
            *_, innermost = [model, *map(_nested_model, _annotations(model, location[:-1]))]
            self.refuse_unknown(keys, _fields(innermost))
            return
        message = _words(detail)
        hidden = secret or detail["type"] in {"missing", "value_error"}
        hidden = hidden or any(map(holds_secret, _annotations(model, location)))
        self.refuse(keys, message if hidden else message + self._found(keys))

    def _present(self, section: Keys, location: Keys, kind: str) -> Keys:
        """Leave out the parts of a location that name no key: the members of a union, a function."""
        place: Keys = ()
        for part in location:
            if _exists(self._values.value, (*section, *place, part)):
                place = (*place, part)
        return (*place, location[-1]) if kind == "missing" else place

    def _depends_on_unset(self, keys: Keys) -> bool:
        return any(
            place[: len(keys)] == keys or keys[: len(place)] == place
            for place in (*self._values.unset, *self._values.malformed)
        )

    def _found(self, keys: Keys) -> str:
        written = value_at(self._document.value, keys)
        if isinstance(written, dict | list):
            return f", found {_kind(written)}"
        shown = json.dumps(written, ensure_ascii=False)
        if "://" in shown:  # it may be a secret as a whole that was written elsewhere than it belongs
            return ""
        return f", found {shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + '…'}"


def value_at(value: object, keys: Keys) -> object:
    """Return the value at `keys` in mappings and lists, None if there is none."""
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def _exists(value: object, keys: Keys) -> bool:
    parent, last = value_at(value, keys[:-1]), keys[-1]
    places = range(len(parent)) if isinstance(parent, list) else parent
    return isinstance(places, dict | range) and last in places


def _kind(value: object) -> str:
    return {dict: "a mapping", list: "a list", str: "text", type(None): "nothing"}.get(
        type(value), repr(value)
    )


def _words(detail: ErrorDetails) -> str:
    if ours := _WORDS.get(detail["type"]):
        return ours.format(**detail.get("ctx", {}))
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _fields(model: type[BaseModel] | None) -> dict[str, Any]:
    fields = model.model_fields if model else {}
    return {field.alias or name: field.annotation for name, field in fields.items()}


def _nested_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_nested_model, get_args(annotation))), None)


def _annotations(model: type[BaseModel], location: Keys) -> Iterator[object]:
    current: type[BaseModel] | None = model
    for part in location:
        annotation = _fields(current).get(str(part))
        if annotation is not None:
            yield annotation
            current = _nested_model(annotation)


def holds_secret(annotation: object, within: Set[object] = frozenset()) -> bool:
    """Whether a value of a type is one of pydantic's secrets, or may hold one."""
    annotation = getattr(annotation, "__value__", annotation)
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, Secret | SecretStr | SecretBytes):
        return True
    parts = get_args(annotation)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in within:
        within, parts = {*within, kind}, tuple(_fields(kind).values())
    return any(holds_secret(part, within) for part in parts)


def long_secrets(*values: object) -> frozenset[str]:
    """Return what the secrets in some values say, if it is long enough to be redacted in output."""
    return frozenset(text for text in secret_texts(values) if len(text) >= MIN_SECRET_LENGTH)


def secret_texts(value: object) -> Iterator[str]:
    """Yield what the secrets of a settings model say, those of nested models and collections included."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    elif isinstance(value, BaseModel | Mapping):
        items = vars(value) if isinstance(value, BaseModel) else value
        for item in items.values():
            yield from secret_texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from secret_texts(item)
