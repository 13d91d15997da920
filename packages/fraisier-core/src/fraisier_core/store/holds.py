"""What keeps pushes waiting: what users hold, and the windows of `freeze:`."""

from __future__ import annotations

from typing import NamedTuple

from fraisier_core.store.vocabulary import HoldCause


class Hold(NamedTuple):
    """Why an environment is held; of several holds, the one that ends last. A `manual` one without an end
    lasts until it is resumed, a `freeze` is a window that is configured, which nobody resumes.
    """

    fraise_id: str
    environment: str
    cause: HoldCause
    reason: str
    held_by: str | None
    begins_at: str
    ends_at: str | None

    @property
    def text(self) -> str:
        """By whom and until when it is held, and why, as people say it."""
        how = "frozen" if self.cause == "freeze" else f"held by {self.held_by}"
        return f"{how}{_until(self.ends_at)}: {self.reason}"

    @property
    def public_text(self) -> str:
        """That it is held, and until when, for those who need not know by whom and why."""
        return f"{'frozen' if self.cause == 'freeze' else 'held'}{_until(self.ends_at)}"

    @property
    def refusal(self) -> str:
        """What a user is told who requests a deployment, and does not override the hold."""
        what = f"{self.fraise_id} {self.environment}"
        resume = "" if self.cause == "freeze" else f"run `fraisier resume {what}`, or "
        return f"{what} is {self.text}; {resume}deploy with --override-hold"


class Window(NamedTuple):
    """A time in which an environment is frozen; `schedule` tells those of one rule from those of others."""

    fraise_id: str
    environment: str
    schedule: str
    reason: str
    begins_at: str
    ends_at: str

    @property
    def rule(self) -> tuple[str, str, str, str]:
        """What is configured, whose next window this may be."""
        return self[:4]


def _until(ends_at: str | None) -> str:
    return f" until {ends_at[:10]} {ends_at[11:19]} UTC" if ends_at else ""
