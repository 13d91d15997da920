"""The rule of polkit(8) that lets the owner of units start them, and whether this host follows such rules."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from fraisier_core.errors import ConflictError
from fraisier_core.units.systemctl import shown
from fraisier_core.units.unit_texts import UnitPlace

RULES = Path("/etc/polkit-1/rules.d")
RULE_NAMES = "50-fraisier-run-*.rules"
_DAEMON = "polkit.service"


def rule_name(place: UnitPlace) -> str:
    """Return the name of the rule: one owner may have several configurations."""
    return RULE_NAMES.replace("*", sha256(os.fsencode(place.config)).hexdigest()[:12])


def require_polkit(rules: Path = RULES) -> None:
    """Raise `ConflictError` unless polkit is installed and reads rules, `StepFailedError` if systemd does not
    answer.
    """
    state = shown([_DAEMON], ["LoadState"])[_DAEMON]["LoadState"][0]
    if state == "loaded" and rules.is_dir():
        return
    found = f"{_DAEMON} is {state}" if state != "loaded" else f"there is no {rules}"
    needed = "runs need polkit, 0.106 or newer, which lets their owner start them"
    raise ConflictError(f"{needed}, and {found}: install it (polkitd), then run this again")


def polkit_rule(place: UnitPlace, units: Iterable[str]) -> str:
    """Return the polkit(8) rule that lets the owner start and stop some units, and do nothing else.

    They are named, because one that is not installed could be made up: systemd asks the same of who starts a
    transient unit, which may run as root.

    Args:
        place: whose they are.
        units: the names of all that are installed; of templates, each run is meant.
    """
    names = json.dumps(sorted(name for name in units if name.endswith(".service")))
    return (
        f"// {place.mark}\n"
        "polkit.addRule(function(action, subject) {\n"
        '    var verb = action.lookup("verb"), unit = String(action.lookup("unit"));\n'
        '    var name = unit.replace(/@[0-9a-f-]{36}\\.service$/, "@.service");\n'
        '    if (action.id == "org.freedesktop.systemd1.manage-units" &&\n'
        '        (verb == "start" || verb == "stop") &&\n'
        f"        {names}.indexOf(name) >= 0 &&\n"
        f"        subject.user == {json.dumps(place.owner)}) {{\n"
        "        return polkit.Result.YES;\n"
        "    }\n"
        "});\n"
    )
