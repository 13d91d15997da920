"""`${VAR}`, `${VAR:-default}`, `${file:/path}` in the text of a configuration, and `$${` for a plain `${`;
what a health check expects may also hold `${commit}`, which is none of them, so all that is no placeholder
stays escaped there until that is replaced.

Substituted in scalars after YAML was parsed: a value can never become structure. What a variable brings is
not looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from fraisier_core.config.yamlfile import Keys
from fraisier_core.settings import COMMIT_PLACEHOLDER, ESCAPED

MIN_SECRET_LENGTH = 6
MAX_FILE_BYTES = 1_000_000

# Replaced when a release is probed: fraises, NAME, environments, NAME, and this.
_COMMIT_AT = ("health_check", "expect")

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class Substituted:
    """A configuration with its placeholders replaced, except at or below the keys in `skip`. `unset` and
    `malformed` say by the keys of a scalar which variable or file is missing, and what is wrong with a
    placeholder; such a scalar is left as it was written.
    """

    def __init__(self, value: object, environ: Mapping[str, str], *, skip: Collection[Keys] = ()) -> None:
        self._environ = environ
        self._skip = {*skip}
        self.unset: dict[Keys, str] = {}
        self.malformed: dict[Keys, str] = {}
        self._brought: dict[Keys, set[str]] = {}
        self._keys: Keys = ()
        self.value = self._filled(value, ())

    def secrets_at(self, *places: Keys, public: Collection[Keys] = ()) -> frozenset[str]:
        """Return what variables and files bring at or below some keys, if it is long enough to redact; what
        they bring to the keys in `public` is no secret.
        """
        found = (
            values
            for keys, values in self._brought.items()
            if any(keys[: len(place)] == place for place in places) and keys not in public
        )
        return frozenset(value for values in found for value in values if len(value) >= MIN_SECRET_LENGTH)

    def _filled(self, value: object, keys: Keys) -> object:
        if keys in self._skip:
            return value
        if isinstance(value, dict):
            return {key: self._filled(item, (*keys, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, (*keys, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return self._text(value, keys)
        return value

    def _text(self, text: str, keys: Keys) -> str:
        self._keys = keys
        try:
            return _PLACEHOLDER.sub(self._replacement, text)
        except _UnsetError as error:
            self.unset[keys] = str(error)
        except _MalformedError as error:
            self.malformed[keys] = str(error)
        return text

    def _replacement(self, match: re.Match[str]) -> str:
        if self._keys[4:6] != _COMMIT_AT:
            return self._value(match)
        if match[0] in {COMMIT_PLACEHOLDER, ESCAPED}:
            return match[0]
        return self._value(match).replace("${", ESCAPED)

    def _value(self, match: re.Match[str]) -> str:
        name, closed = match.groups()
        if name is None:
            return "${"
        if not closed:
            raise _MalformedError("${ without }; write $${ for the characters themselves")
        if name.startswith("file:"):
            return self._keep(_content(name.removeprefix("file:")))
        variable = _VARIABLE.fullmatch(name)
        if variable is None:
            raise _MalformedError(f"${{{name}}} is none of ${{VAR}}, ${{VAR:-default}}, ${{file:/path}}")
        return self._variable(*variable.groups())

    def _variable(self, name: str, default: str | None) -> str:
        value = self._environ.get(name)
        if default is not None and not value:
            return default
        if value is None:
            raise _UnsetError(f"the variable {name} is not set")
        return self._keep(value)

    def _keep(self, value: str) -> str:
        """Return a value without the white space around it, which is part of nothing but a key."""
        value = value if value.lstrip().startswith("-----BEGIN ") else value.strip()
        self._brought.setdefault(self._keys, set()).add(value)
        return value


def variable_names(value: object, skip: Collection[Keys] = (), keys: Keys = ()) -> set[str]:
    """Return the names of the variables that the scalars in `value`, which is at `keys`, use; of those at or
    below the keys in `skip`, none.
    """
    if keys in skip:
        return set()
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {name for key, item in items for name in variable_names(item, skip, (*keys, key))}
    found = _PLACEHOLDER.finditer(value) if isinstance(value, str) else ()
    variables = (_VARIABLE.fullmatch(match[1]) for match in found if match[1])
    return {variable[1] for variable in variables if variable}


def uses_placeholders(value: object) -> bool:
    """Whether anything in a scalar is replaced by a variable or a file."""
    return isinstance(value, str) and any(match[1] for match in _PLACEHOLDER.finditer(value))


class _UnsetError(Exception):
    pass


class _MalformedError(Exception):
    pass


def _content(name: str) -> str:
    path = Path(name)
    if not path.is_absolute():
        raise _MalformedError(f"${{file:{name}}} must name an absolute path")
    try:
        if not path.is_file():
            raise _UnsetError(
                f"the file {name} {'is not a regular file' if path.exists() else 'does not exist'}"
            )
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise _UnsetError(f"the file {name} is larger than {MAX_FILE_BYTES:,} bytes")
        return content.decode()
    except OSError as error:
        raise _UnsetError(f"the file {name} cannot be read: {error.strerror}") from None
    except ValueError:
        raise _UnsetError(f"the file {name} is not UTF-8 text") from None
