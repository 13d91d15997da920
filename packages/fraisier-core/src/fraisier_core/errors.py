"""What can go wrong in a way that a person can do something about: one class for each."""

from __future__ import annotations


class FraisierError(Exception):
    """Base of every error that Fraisier raises on purpose; its text says what, where and what next."""


class ConfigurationError(FraisierError):
    """`fraises.yaml` cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UnsetVariableError(ConfigurationError):
    """A `${VARIABLE}` that the command at hand needs is not set."""


class UnknownNameError(FraisierError):
    """A fraise, environment, deployment, release or provider of that name does not exist."""


class PluginError(FraisierError):
    """A plugin that the configuration names is missing, broken or claimed by two packages."""


class StoreError(FraisierError):
    """The store cannot be opened, read or written."""


class UnreachableStoreError(StoreError):
    """The database is away; it may come back, and nothing was committed meanwhile."""


class UnknownOutcomeError(StoreError):
    """The database was lost while it committed: whether the change was recorded is unknown."""


class OutdatedStoreError(StoreError):
    """An older version made the store; whoever only reads does not migrate it; it lacks the `pending`."""

    pending: tuple[str, ...] = ()


class ClosedStoreError(StoreError):
    """The store takes no changes: it moves, has moved, or is an unfinished copy."""


class FencedError(StoreError):
    """An event carried the token of a lease that is no longer held: someone else took over."""


class InvalidRequestError(FraisierError):
    """A deployment cannot be requested: its kind is unknown, or lacks an argument."""


class BusyError(FraisierError):
    """The environment is being deployed by someone else."""


class ConflictError(FraisierError):
    """What was planned conflicts with how things are now."""


class HeldError(ConflictError):
    """A user requests a deployment to an environment that is held, and does not override that."""


class UnauthenticatedError(FraisierError):
    """A client shows no token, or none that is valid; answered with 401."""


class ForbiddenError(FraisierError):
    """A token does not allow this; answered as 403 is."""


class MalformedPayloadError(FraisierError):
    """A verified delivery is not what its forge would send; answered with 400."""


class BoundSecretError(FraisierError):
    """A secret verifies a delivery, but is bound to other repositories; answered with 401."""


class StepFailedError(FraisierError):
    """A step of a deployment failed; `output` is more than its message says, for the step's own output."""

    output = ""


class CommandFailedError(StepFailedError):
    """A command exited with another status than 0, ran too long, or could not be started."""


class ActivationRefusedError(StepFailedError):
    """What runs was not changed after all, as when the service manager refuses to restart the service."""


class CommitGoneError(StepFailedError):
    """The pushed commit is not in the repository any more (`ref_gone`)."""


class GitUnreachableError(StepFailedError):
    """The remote repository cannot be fetched from (`git_unreachable`)."""


class AppPathRefusedError(StepFailedError):
    """What is at `app_path`, or in the place of a new release, is not Fraisier's to replace."""


class CancelledError(FraisierError):
    """The cancellation of this deployment was requested."""


class InterruptedRunError(FraisierError):
    """The worker that owns this attempt is gone, or another took its lease over."""


class NoResponseError(FraisierError):
    """A server that is asked over HTTP cannot be reached, or does not answer in time."""


class TellLaterError(FraisierError):
    """An observer could not do something now; it is told again in so many `seconds`, None if it does not
    matter when.
    """

    def __init__(self, problem: str, seconds: float | None = None) -> None:
        super().__init__(problem)
        self.seconds = seconds


class TellNoMoreError(FraisierError):
    """An observer cannot do something, and would fail again if it were repeated."""


class RemoteError(FraisierError):
    """A Fraisier on another machine cannot be asked, or refuses to answer."""


class UnreachableServerError(RemoteError):
    """A Fraisier on another machine is away; it may come back."""
