"""What is deployed, and where: a fraise and its environments, as configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from fraisier_core.config.reach import ReachSection
from fraisier_core.errors import FraisierError
from fraisier_core.git.access import NO_ACCESS, Access
from fraisier_core.git.contents import ALL, Contents
from fraisier_core.git.repository import Repository
from fraisier_core.job_settings import JobSettings, settings_of_requests
from fraisier_core.settings import EnvironmentSettings, FreezeSection
from fraisier_core.store.vocabulary import KINDS


@dataclass(frozen=True, slots=True)
class Environment:
    """One place where a fraise is deployed. `title` is its `name:` for people, `branch` what a deployment
    takes when no commit is named, `outcome` the settings of its type, or why there are none; `section` has
    the variables filled in that are set, `secrets` are the values of variables and files, `env_secrets` those
    of `env:`; `kinds` are the names of those that its type has, None if nobody asked; `freezes` say when what
    is pushed there waits, those of its fraise and of all included.
    """

    fraise: str
    name: str
    title: str | None = field(repr=False)
    branch: str | None
    app_path: Path | None
    repository: Repository
    outcome: EnvironmentSettings | FraisierError = field(repr=False)
    section: Mapping[str, object] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    env_secrets: frozenset[str] = field(repr=False)
    kinds: frozenset[str] | None
    freezes: tuple[FreezeSection, ...] = ()

    @property
    def has_job(self) -> bool | None:
        """Whether anything runs here beside deployments, None if nobody asked."""
        return None if self.kinds is None else any(KINDS[each].job for each in self.kinds)

    @property
    def is_deployed(self) -> bool:
        """Whether something is deployed here, as far as it is known."""
        return self.kinds is None or "deploy" in self.kinds

    @property
    def pings(self) -> bool:
        """Whether an address hears of its runs and backups, as far as it is known."""
        return isinstance(self.outcome, JobSettings) and self.outcome.ping is not None

    @property
    def settings(self) -> EnvironmentSettings:
        """The settings of its type. Raises `PluginError` or `UnsetVariableError`."""
        if isinstance(self.outcome, FraisierError):
            raise self.outcome.with_traceback(None)
        return self.outcome

    @property
    def job(self) -> JobSettings | None:
        """The settings of its job, None if its type has none; only those by which runs are requested, if
        others cannot be used. Raises what keeps those from being known, as `settings` does.
        """
        if isinstance(self.outcome, JobSettings):
            return self.outcome
        if self.has_job is False:
            return None
        try:
            return settings_of_requests(self.section, self.kinds)
        except ValidationError:
            if isinstance(self.outcome, FraisierError):
                raise self.outcome.with_traceback(None) from None
            return None  # keys of another meaning


@dataclass(frozen=True, slots=True)
class Fraise:
    """One deployable thing; `problem` says why its type's plugin cannot be used, `reach` how its repository
    is reached, `notify` who is notified unless an environment says so itself.
    """

    name: str
    type: str
    description: str = field(repr=False)
    reach: ReachSection = field(repr=False)
    environments: Mapping[str, Environment]
    problem: str | None = None
    notify: tuple[str, ...] | None = None


class BackupBefore(NamedTuple):
    """The environment that is backed up before a deployment, and for how many seconds that waits."""

    fraise: str
    environment: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ResolvedEnvironment:
    """What the process of one deployment gets: its environment, with the variables filled in, and nothing of
    `git:` or of other fraises. `repository` is the address to fetch from, empty if nothing is deployed,
    `access` how it is reached, `contents` what of it becomes part of a release; `section` is for the settings
    model of its fraise type; `secrets` are what must be redacted in output; `describe`: commands get
    `FRAISIER_DESCRIBE`; `config` is the file of it all; `backup_before` is backed up before it is deployed.
    """

    fraise: str
    environment: str
    type: str
    repository: str = field(repr=False)
    state_dir: Path
    section: Mapping[str, object] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    access: Access = field(default=NO_ACCESS, repr=False)
    contents: Contents = ALL
    describe: bool = False
    config: Path = field(default=Path("fraises.yaml"), repr=False)
    backup_before: BackupBefore | None = None

    @property
    def releases(self) -> Path:
        """The folder in which the releases of the environment lie side by side."""
        return self.state_dir / "releases" / self.fraise / self.environment

    @property
    def work(self) -> Path:
        """The folder of the environment's own in which what needs no release works."""
        return self.state_dir / "work" / self.fraise / self.environment

    @property
    def mirrors(self) -> Path:
        """The folder of the mirrors of all repositories."""
        return self.state_dir / "mirrors"

    @property
    def shared(self) -> Path:
        """The folder of what the releases of the environment share."""
        return self.state_dir / "shared" / self.fraise / self.environment


def environments_of(fraises: Mapping[str, Fraise]) -> Iterator[Environment]:
    """Yield the environments of all fraises, in the order of the file."""
    for fraise in fraises.values():
        yield from fraise.environments.values()
