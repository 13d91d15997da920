"""What the sections of observers and mounts say, each of which has the plugin's name."""

from __future__ import annotations

from typing import Annotated

from fraisier_core.settings.section import AsList, Seconds, Section
from fraisier_core.text.http_settings import Origin


class ObserverSettings(Section):
    """What every observer's section says; an observer adds its own keys by subclassing.

    Args:
        timeout: seconds that it may take for one event.
    """

    timeout: Seconds = 10.0


class MountSettings(Section):
    """What every mount's section says; a mount adds its own keys by subclassing.

    Args:
        development: whether clients on this host may do everything without a token.
        origins: the pages of other sites that may open WebSockets, such as `https://panel.example.com`.
    """

    development: bool = False
    origins: Annotated[tuple[Origin, ...], AsList] = ()
