"""What a token allows: to read, or also to deploy; everywhere, in one fraise, or in one environment of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fraisier_core.store.vocabulary import Level

_WRITTEN = re.compile(r"(read|deploy)(?::([^/:]+)(?:/([^/:]+))?)?")
FORM = "`read` or `deploy`, alone or with a place, as in deploy:FRAISE or deploy:FRAISE/ENV"


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be done, in which places: None stands for all of them. To deploy implies to read."""

    level: Level
    fraise: str | None = None
    environment: str | None = None

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Return the scope that is written as `(read|deploy)[:FRAISE[/ENV]]`. Raises `ValueError`."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f'"{text}" is no scope: it is {FORM}')
        return cls("deploy" if found[1] == "deploy" else "read", found[2], found[3])

    def __str__(self) -> str:
        """Return it as it is written."""
        place = "/".join(name for name in (self.fraise, self.environment) if name is not None)
        return f"{self.level}:{place}" if place else self.level

    def may_read(self, fraise: str | None = None, environment: str | None = None) -> bool:
        """Whether an environment may be read; without one all of a fraise, without either everything."""
        return self.fraise in {None, fraise} and self.environment in {None, environment}

    def may_deploy(self, fraise: str | None = None, environment: str | None = None) -> bool:
        """Whether deployments and runs may be requested and cancelled there."""
        return self.level == "deploy" and self.may_read(fraise, environment)
