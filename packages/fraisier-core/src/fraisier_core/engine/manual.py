"""What people request, by a command or from afar: to deploy and to roll back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fraisier_core.config import Config, Environment
from fraisier_core.config.source import ConfigSource
from fraisier_core.engine.earlier import earlier_releases
from fraisier_core.engine.job_requests import job_request, require_kind
from fraisier_core.errors import BusyError, ConfigurationError, InvalidRequestError, UnknownNameError
from fraisier_core.mount import Actions
from fraisier_core.plugins import Plugins
from fraisier_core.push import BRANCH_PREFIX, is_ref_name
from fraisier_core.requests.holding import hold, require_deployed, resume
from fraisier_core.requests.requesting import configure_store, request_deployment
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, HealthyRelease, Request
from fraisier_core.store.vocabulary import KINDS

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


def usable_environment(config: Config, fraise: str, name: str) -> Environment:
    """Return an environment by its name or the beginning of it, before anything is requested there. Raises
    `UnknownNameError`, and `ConfigurationError` if its configuration is not complete.
    """
    found = config.environment(fraise, name)
    config.require("fraises", found.fraise, "repository")
    _ = found.settings
    return found


def _named_environment(config: Config, fraise: str, name: str) -> Environment:
    """Return an environment by its whole name: a client that may deploy to an environment that is gone may
    not therefore deploy to another that begins so, nor be told which there are. Raises `UnknownNameError`.
    """
    if fraise not in config.fraises or name not in config.fraises[fraise].environments:
        raise UnknownNameError(f'no environment "{name}" of a fraise "{fraise}" is configured')
    return config.fraises[fraise].environments[name]


def _usable(config: Config, fraise: str, name: str) -> Environment:
    """Return an environment by its whole name, as `usable_environment` does."""
    return usable_environment(config, fraise, _named_environment(config, fraise, name).name)


def deploy_request(
    config: Config,
    environment: Environment,
    requested_by: str,
    commit: str | None,
    branch: str | None,
    *,
    override_hold: bool = False,
) -> Request:
    """Return the request for a commit or for the newest one of a branch, by default of the environment's own.
    Raises `ConfigurationError` if it has none, and `InvalidRequestError` if one is misspelt.
    """
    require_kind(config, environment, "deploy")
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise InvalidRequestError("a commit is 4 to 64 hexadecimal digits")
    if branch is not None and not is_ref_name(branch):
        raise InvalidRequestError(f"{branch!r} is not the name of a branch")
    branch = branch or (None if commit else environment.branch)
    if not branch and not commit:
        where = f"{config.path}: fraises.{environment.fraise}.environments.{environment.name}"
        problem = "no `branch:` says what to deploy; set it, or name a branch or a commit"
        raise ConfigurationError([f"{where}: {problem}"])
    ref = f"{BRANCH_PREFIX}{branch}" if branch else None
    names = environment.fraise, environment.name
    request = Request(*names, "deploy", "manual", requested_by, ref=ref, overrides_hold=override_hold)
    return request._replace(commit_sha=commit and commit.lower())


def rollback_request(
    config: Config,
    plugins: Plugins,
    store: Store,
    environment: Environment,
    *,
    requested_by: str,
    to: str | None,
) -> Request:
    """Return the request for a rollback to the release whose name or commit `to` is a part of; if `to` is
    None, to the newest healthy one that is older than the serving one and was not itself rolled back from.
    Raises `UnknownNameError` if there is none, or more than one, and `BusyError`.
    """
    require_kind(config, environment, "rollback")
    names = environment.fraise, environment.name
    running = store.running(*names, KINDS["rollback"].lane) if to is None else None
    if running and KINDS[store.deployment(running).kind].activates:
        what = f"deployment {running} of {' '.join(names)} is running"
        raise BusyError(f"{what}: cancel it, or name the release to roll back to")
    target = _chosen(config, plugins, store, environment, to)
    commit, release = target.commit_sha, target.release
    return Request(*names, "rollback", "manual", requested_by, commit_sha=commit, release=release)


class ManualActions(Actions):
    """Implements `mount.Actions` by the current configuration."""

    def __init__(self, source: ConfigSource, plugins: Plugins, store: Store) -> None:
        self._source = source
        self._plugins = plugins
        self._store = store
        self._config: Config | None = None

    def deploy(
        self,
        fraise_id: str,
        environment: str,
        requested_by: str,
        commit: str | None = None,
        branch: str | None = None,
        *,
        override_hold: bool = False,
    ) -> str:
        config = self._configured()
        found = _usable(config, fraise_id, environment)
        what = deploy_request(config, found, requested_by, commit, branch, override_hold=override_hold)
        return self._requested(what)

    def rollback(self, fraise_id: str, environment: str, requested_by: str, to: str | None = None) -> str:
        config = self._configured()
        found = _usable(config, fraise_id, environment)
        request = rollback_request(
            config, self._plugins, self._store, found, requested_by=requested_by, to=to
        )
        return self._requested(request)

    def run(self, fraise_id: str, environment: str, requested_by: str, arguments: Sequence[str] = ()) -> str:
        return self._requested_job("run", fraise_id, environment, requested_by, arguments)

    def backup(self, fraise_id: str, environment: str, requested_by: str) -> str:
        return self._requested_job("backup", fraise_id, environment, requested_by)

    def restore_test(self, fraise_id: str, environment: str, requested_by: str) -> str:
        return self._requested_job("restore_test", fraise_id, environment, requested_by)

    def hold(
        self,
        fraise_id: str,
        environment: str | None,
        requested_by: str,
        reason: str,
        until: str | None = None,
    ) -> str:
        names = self._named(fraise_id, environment)
        require_deployed(self._configured(), fraise_id)
        return hold(self._store, *names, reason=reason, held_by=requested_by, ends=until)

    def resume(self, fraise_id: str, environment: str | None, requested_by: str) -> str:
        return max(resume(self._store, *self._named(fraise_id, environment), requested_by))

    def _requested_job(
        self, kind: str, fraise_id: str, environment: str, requested_by: str, arguments: Sequence[str] = ()
    ) -> str:
        config = self._configured()
        found = _named_environment(config, fraise_id, environment)
        return self._requested(
            job_request(config, self._store, found, kind, requested_by=requested_by, arguments=arguments)
        )

    def _named(self, fraise_id: str, environment: str | None) -> tuple[str, str | None]:
        """Return a fraise, and an environment of it if one is named. Raises `UnknownNameError`."""
        config = self._configured()
        if environment is not None:
            return fraise_id, _named_environment(config, fraise_id, environment).name
        if fraise_id not in config.fraises:
            raise UnknownNameError(f'no fraise "{fraise_id}" is configured')
        return fraise_id, None

    def cancel(self, deployment_id: str, requested_by: str) -> Deployment:
        return self._store.request_cancel(deployment_id, requested_by)

    def _requested(self, request: Request) -> str:
        return request_deployment(self._store, request)[0]

    def _configured(self) -> Config:
        """Return the current configuration; the store is told of a new one first."""
        config = self._source.current()
        if config is not self._config:
            configure_store(self._store, config, executes=False)
            self._config = config
        return config


def _chosen(
    config: Config, plugins: Plugins, store: Store, environment: Environment, to: str | None
) -> HealthyRelease:
    from fraisier_core.engine.cancellation import CancellationToken
    from fraisier_core.engine.execution import open_context  # which `fraisier deploy` does without

    names = environment.fraise, environment.name
    healthy, serving = store.healthy_releases(*names), store.serving(*names)
    workspace = open_context(config.resolved(*names), plugins, CancellationToken()).workspace
    there = [each for each in healthy if workspace.get(each.release) is not None]
    what = " ".join(names)
    if to is not None:
        return _named(what, to, there)
    kept = earlier_releases(healthy, serving)
    found = next((each for each in there if each in kept), None)
    if found is None:
        raise UnknownNameError(f"{what} has no healthy release older than the serving one{_listing(there)}")
    return found


def _named(what: str, to: str, there: Sequence[HealthyRelease]) -> HealthyRelease:
    if not to:
        raise UnknownNameError(f"the empty text names no release of {what}{_listing(there)}")
    found = (
        [each for each in there if each.release == to]
        or [each for each in there if each.release.startswith(to) or each.commit_sha.startswith(to.lower())]
        or [each for each in there if to in each.release or to.lower() in each.commit_sha]
    )
    if not found:
        raise UnknownNameError(f'{what} has no healthy release "{to}"{_listing(there)}')
    if len({each.commit_sha for each in found}) > 1:
        raise UnknownNameError(f'"{to}" is ambiguous: several releases of {what} match{_listing(found)}')
    return found[0]


def _listing(releases: Sequence[HealthyRelease]) -> str:
    names = dict.fromkeys(f"{each.release} (commit {each.commit_sha[:12]})" for each in releases)
    return "; there are:\n  " + "\n  ".join(names) if names else "; there is none to roll back to"
