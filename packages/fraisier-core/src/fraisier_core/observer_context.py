"""What an observer is given beside the change: facts that it cannot look up, because it has no store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from fraisier_core.provider_settings import ForgeApi
from fraisier_core.store.holds import Hold
from fraisier_core.store.records import Deployment

ID_PLACEHOLDER = "{id}"
"""What of `public_url` stands for the id of a deployment."""


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """What the configuration says of an environment.

    Args:
        type: its fraise type.
        repository: the identity of its repository, such as `git.example.com/acme/api`; None if it is unknown.
        identities: those of its repository and of what it is also called.
        notify: the names of who is notified of it, None if nobody says.
        ping: the address that hears of its runs and backups.
    """

    type: str
    repository: str | None = None
    identities: frozenset[str] = frozenset()
    notify: tuple[str, ...] | None = None
    ping: SecretStr | None = field(default=None, repr=False)


class Missed(NamedTuple):
    """A job that did not run in time.

    Args:
        fraise_id: its fraise.
        environment: its environment.
        kind: of what was due, such as `run`.
        due: when, in UTC.
        since: when one was requested by its schedule last, empty if never; it is told of once for each.
    """

    fraise_id: str
    environment: str
    kind: str
    due: str
    since: str


@dataclass(frozen=True, slots=True)
class ObserverContext:
    """What is known when an observer is told of something; plain values, gathered before it is called.

    Args:
        folder: a folder of the observer's own, for its owner alone; it is there.
        environment: what the configuration says of the environment; None if it is not configured any more.
        public_url: the address of the page that shows a deployment, None if there is none.
        repeated: whether this may have been told before: after a failure, when the process had ended, or when
            a hold began or ended.
        previous: once a deployment has ended, the last one of its kind in its environment before it that
            succeeded or failed; neither what was superseded, skipped nor cancelled.
        output: once a deployment has failed, the last lines of the step that failed, redacted.
        hold: what a deployment waits for while its environment is held.
        delivered_to: the name of the section below `git:` whose delivery requested the deployment, if any.
        forges: the sections of the observer's provider that have an `api_token`, by name.
        section: the name of the one of these that it is called for; it is called for each apart.
        environments: when it delivers, what is known of every environment, by the names of its fraise and its
            own.
    """

    folder: Path
    environment: EnvironmentFacts | None = None
    public_url: str | None = None
    repeated: bool = False
    previous: Deployment | None = None
    output: tuple[str, ...] = ()
    hold: Hold | None = None
    delivered_to: str | None = None
    forges: Mapping[str, ForgeApi] = field(default_factory=dict, repr=False)
    section: str | None = None
    environments: Mapping[tuple[str, str], EnvironmentFacts] = field(default_factory=dict, repr=False)

    def link(self, deployment: Deployment) -> str | None:
        """Return the address of the page that shows a deployment, None if there is none."""
        return self.public_url and self.public_url.replace(ID_PLACEHOLDER, deployment.id)
