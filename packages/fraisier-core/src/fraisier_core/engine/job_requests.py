"""What requests a job: a run, a backup, a restore test."""

from __future__ import annotations

from collections.abc import Sequence

from fraisier_core.config import Config, Environment
from fraisier_core.errors import InvalidRequestError
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Request
from fraisier_core.store.vocabulary import KINDS

_LACKS = {
    "deploy": "is not deployed",
    "rollback": "is not deployed",
    "run": "has no job",
    "backup": "has no backups",
    "restore_test": "has no restore tests",
}
"""What messages say of an environment whose type lacks a kind."""
_ABLE = {"deploy": "deployments", "run": "runs", "backup": "backups"}


def job_request(
    config: Config,
    store: Store,
    environment: Environment,
    kind: str,
    *,
    requested_by: str,
    arguments: Sequence[str] = (),
) -> Request:
    """Return the request for a job of an environment, of a run with the release that serves when it starts;
    what executes it needs the variables of its settings, and the request does not. Raises
    `InvalidRequestError` if its type has no such job, an argument cannot be one, or no release serves, and
    `PluginError`.
    """
    if environment.kinds is None:
        _ = environment.settings  # it may say why nobody knows
    fired = fired_request(config, environment, kind, arguments)
    if KINDS[kind].source == "serving":
        _require_release(store, environment)
    return fired._replace(trigger="manual", requested_by=requested_by)


def fired_request(
    config: Config, environment: Environment, kind: str, arguments: Sequence[str] = ()
) -> Request:
    """Return the request for a job whose time has come: it is on record whatever keeps the job from running.
    Raises `InvalidRequestError` if its type has no such job, or an argument cannot be one.
    """
    require_kind(config, environment, kind)
    if any("\0" in each for each in arguments):
        raise InvalidRequestError("an argument of a run may not contain the character NUL")
    if any(secret in each for secret in environment.env_secrets for each in arguments):
        problem = "an argument holds a secret of `env:`, and arguments are on record in clear"
        raise InvalidRequestError(f"{problem}: have the job read the variable, or set `secret: false`")
    names = environment.fraise, environment.name
    return Request(*names, kind, "schedule", None, arguments=tuple(arguments))


def require_kind(config: Config, environment: Environment, kind: str) -> None:
    """Raise `InvalidRequestError` if the type of an environment is known not to have a kind."""
    if environment.kinds is None or kind in environment.kinds:
        return
    what, name = f"{environment.fraise} {environment.name}", config.fraises[environment.fraise].type
    able = " and ".join(word for each, word in _ABLE.items() if each in environment.kinds)
    lack = _LACKS.get(kind, f"has no {kind}")
    remedy = f"; run `fraisier backup {what}`" if able == _ABLE["backup"] and kind != "restore_test" else ""
    raise InvalidRequestError(f'{what} {lack}: its type "{name}" is for {able or "nothing"} alone{remedy}')


def _require_release(store: Store, environment: Environment) -> None:
    """Raise `InvalidRequestError` unless a release of an environment serves."""
    names = environment.fraise, environment.name
    what, states = " ".join(names), store.status(*names)
    if any(each.serving_unknown for each in states):
        raise InvalidRequestError(f"which release of {what} serves is unknown: deploy or roll back first")
    if not any(each.serving_release for each in states):
        raise InvalidRequestError(f"no release of {what} serves: run `fraisier deploy {what}` first")
