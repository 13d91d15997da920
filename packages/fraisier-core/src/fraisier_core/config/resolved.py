"""The part of the configuration that the process of one deployment gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, SecretBytes, SecretStr

from fraisier_core.config.variables import MIN_SECRET_LENGTH


@dataclass(frozen=True, slots=True)
class ResolvedEnvironment:
    """An environment with its variables filled in, and nothing of `git:` or of other fraises.

    `repository` is the address to fetch from, credentials included; `section` is for the settings model of
    its fraise type; `secrets` are what must be redacted in output.
    """

    fraise: str
    environment: str
    type: str
    repository: str = field(repr=False)
    state_dir: Path
    section: Mapping[str, object] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)

    @property
    def releases(self) -> Path:
        """The folder in which the releases of the environment lie side by side."""
        return self.state_dir / "releases" / self.fraise / self.environment


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
