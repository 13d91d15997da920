"""`freeze:` beside the other sections: when what is pushed waits, whatever it is deployed to."""

from __future__ import annotations

from fraisier_core.config.sections import ConfigReader
from fraisier_core.settings import Freezes, FreezeSection, Section


class RootFreezes(Section):
    """What all environments have in common."""

    freeze: Freezes = ()


def read_freezes(reader: ConfigReader) -> tuple[FreezeSection, ...]:
    """Return when what is pushed waits in every environment."""
    value = reader.value(("freeze",))
    section = None if value is None else reader.read(RootFreezes, (), {"freeze": value})
    return section.freeze if section else ()
