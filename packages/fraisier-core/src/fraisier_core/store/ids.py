"""The ids of deployments and deliveries, as people give them: a part is enough."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fraisier_core.errors import UnknownNameError

SHOWN = 3
LISTS = {"deployment": "fraisier history", "delivery": "fraisier webhooks list"}
PART = re.compile(r"[0-9a-f-]{1,36}")
WHOLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def only(what: str, id_part: str, found: Sequence[str]) -> str:
    """Return the only id that was found by a part of it. Raises `UnknownNameError` unless there is one."""
    if not found:
        raise unknown_id(what, id_part)
    if len(found) > 1:
        ids = ", ".join(found[:SHOWN])
        some = f"{ids} and more" if len(found) > SHOWN else ids
        raise UnknownNameError(f"more than one {what} is called {id_part!r}: {some}")
    return found[0]


def unknown_id(what: str, name: str) -> UnknownNameError:
    """Return what is wrong with an id that is none of a `deployment` or of a `delivery`."""
    return UnknownNameError(f"there is no {what} {name!r}: `{LISTS[what]}` lists them")
