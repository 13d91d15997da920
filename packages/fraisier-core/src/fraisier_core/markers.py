"""The marks of a hook's specification and of its implementation."""

from __future__ import annotations

import pluggy

hookspec = pluggy.HookspecMarker("fraisier")
hookimpl = pluggy.HookimplMarker("fraisier")
