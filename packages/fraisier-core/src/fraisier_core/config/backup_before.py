"""`backup_before:`: which backup a deployment waits for before it changes anything."""

from __future__ import annotations

from collections.abc import Mapping

from fraisier_core.config.fraise import BackupBefore, Environment, Fraise
from fraisier_core.errors import UnknownNameError
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.text.suggestions import unknown


def backup_before(fraises: Mapping[str, Fraise], environment: Environment) -> BackupBefore | None:
    """Return what is backed up before each deployment of an environment, None if nothing is. Raises
    `UnknownNameError` if there is no such backup.
    """
    written = environment.section.get("backup_before")
    if not isinstance(written, str):
        return None
    found = _named(fraises, written, environment)
    if found.kinds is not None and "backup" not in found.kinds:
        kind = fraises[found.fraise].type
        raise UnknownNameError(f'{found.fraise} {found.name} makes no backups: its type is "{kind}"')
    settings = found.outcome if isinstance(found.outcome, EnvironmentSettings) else EnvironmentSettings()
    return BackupBefore(found.fraise, found.name, settings.timeout)


def _named(fraises: Mapping[str, Fraise], written: str, environment: Environment) -> Environment:
    """Return the environment that is meant: without a name, the one called alike, or the only one."""
    fraise, _, name = written.partition(" ")
    if fraise not in fraises:
        raise UnknownNameError(unknown("fraise", fraise, fraises))
    known = fraises[fraise].environments
    name = name or (environment.name if environment.name in known or len(known) > 1 else next(iter(known)))
    if name not in known:
        raise UnknownNameError(unknown(f"environment of {fraise}", name, known))
    return known[name]
