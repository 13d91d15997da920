"""The hook specs: everything that a plugin can say, and everything it is told.

A plugin is a module whose functions carry `@hookimpl` and are named as the hooks here. It is found through
an entry point whose name is the provider's name (group `fraisier.providers`) or the fraise type (group
`fraisier.deployers`). A hook is called on exactly that one plugin, never broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pluggy

from fraisier_core.push import DeliveryId, Ignored, Push, Verified
from fraisier_core.settings import EnvironmentSettings, ProviderSettings

if TYPE_CHECKING:
    from fraisier_core.health import Health
    from fraisier_core.release import Release
    from fraisier_core.run import Run

hookspec = pluggy.HookspecMarker("fraisier")
hookimpl = pluggy.HookimplMarker("fraisier")


class ProviderHooks:
    """What a Git provider answers: is this delivery genuine, and what was pushed?"""

    @hookspec(firstresult=True)
    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> Verified | None:
        """Return which secret vouches for a delivery, or None. Required.

        Called first, for every delivery, before anything of the body is parsed.

        Args:
            headers: the request's headers, names in lower case, values decoded as Latin-1.
            body: the raw body.
            secrets: the configured secrets, none of them empty.
            now: the current time in UTC, for schemes that sign a timestamp.

        Must not raise. Compare as bytes with `hmac.compare_digest`.

        Example::

            @hookimpl
            def verify(headers, body, secrets, now):
                given = headers.get("x-signature", "").encode("latin-1")
                for index, secret in enumerate(secrets):
                    digest = hmac.new(secret.encode(), body, "sha256").hexdigest().encode()
                    if hmac.compare_digest(digest, given):
                        return Verified(index)
                return None
        """

    @hookspec(firstresult=True)
    def normalize(self, headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
        """Return the pushes of a verified delivery, or why it asks for nothing. Required.

        Args:
            headers: as in `verify`.
            body: the raw body.

        Raises `MalformedPayloadError` where the body is not what the forge sends.

        Example::

            @hookimpl
            def normalize(headers, body):
                if headers.get("x-event") != "push":
                    return Ignored(headers.get("x-event", ""), "only pushes deploy")
                return [Push(...)]
        """

    @hookspec(firstresult=True)
    def delivery_id(self, headers: Mapping[str, str]) -> DeliveryId | None:
        """Return the forge's id of a delivery, or None where it sends none. Optional.

        Called for verified deliveries, so that one that arrives twice deploys once.

        Args:
            headers: as in `verify`.

        Example::

            @hookimpl
            def delivery_id(headers):
                value = headers.get("x-delivery")
                return DeliveryId(value, signed=False) if value else None
        """

    @hookspec(firstresult=True)
    def settings(self) -> type[ProviderSettings]:
        """Return the model of this provider's section under `git:`. Optional.

        Called when the configuration is loaded. Without it the section is a plain `ProviderSettings`.

        Example::

            @hookimpl
            def settings():
                return MyForgeSettings
        """


class DeployerHooks:
    """What a fraise type answers: how is a release put to work, and is it well?"""

    @hookspec(firstresult=True)
    def deploy(self, run: Run[Any]) -> None:
        """Put `run.release` to work. Required.

        Called in a process of its own once the commit is fetched and checked out.

        Args:
            run: the settings of this type, the release, and the means: `step`, `command`, `activate`.

        Raises anything where a step fails; where something had been activated, the engine rolls back.

        Example::

            @hookimpl
            def deploy(run):
                with run.step("build"):
                    run.command(["make"])
                run.activate()
        """

    @hookspec(firstresult=True)
    def health_check(self, run: Run[Any]) -> Health:
        """Return whether the service is well: one probe. Required.

        Called after `deploy`, after `rollback`, and again while it answers "unhealthy": how often and how
        long is the engine's business.

        Args:
            run: as in `deploy`.

        May raise; an exception counts as unhealthy.

        Example::

            @hookimpl
            def health_check(run):
                return run.probe()
        """

    @hookspec(firstresult=True)
    def rollback(self, run: Run[Any], to: Release) -> None:
        """Put an earlier release back to work. Optional.

        Called when a deployment fails after something was activated, and for `fraisier rollback`.
        Without it, `deploy` is called with `to` as its release.

        Args:
            run: as in `deploy`.
            to: a complete release that was healthy.

        Raises anything where it fails; the deployment then says that what serves is unknown.

        Example::

            @hookimpl
            def rollback(run, to):
                run.activate(to)
                with run.step("restart"):
                    run.command(["supervisorctl", "restart", "api"])
        """

    @hookspec(firstresult=True)
    def settings(self) -> type[EnvironmentSettings]:
        """Return the model of this type's environment section. Optional.

        Called when the configuration is loaded. Without it the section is a plain `EnvironmentSettings`.

        Example::

            @hookimpl
            def settings():
                return MySettings
        """
