"""`retention:`, for how long is kept what the record can do without."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fraisier_core.settings import Section
from fraisier_core.text.time_settings import Duration

_Kept = Annotated[Duration, Field(gt=0, allow_inf_nan=False)] | None


class RetentionSection(Section):
    """How many seconds are kept: the bodies of deliveries, the output of deployments, the refused deliveries;
    for ever if it is None. Events are never deleted.
    """

    payloads: _Kept = None
    logs: _Kept = None
    refused: _Kept = None
