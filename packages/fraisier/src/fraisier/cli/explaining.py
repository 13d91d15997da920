"""What `fraisier webhooks explain` is asked: a recorded delivery, or a push that was not delivered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from fraisier_core.config import Config, load_config
from fraisier_core.errors import UnknownNameError
from fraisier_core.git.origins import is_on
from fraisier_core.git.repository import canonical_path, in_any_case, repository_identity
from fraisier_core.push import BRANCH_PREFIX, TAG_PREFIX, Push
from fraisier_core.requests.explaining import Explanation, explain_delivery, explain_push
from fraisier_core.text.suggestions import unknown

from fraisier.cli.deliveries import title_of
from fraisier.cli.session import Session


def explain_one(file: Path | None, words: Sequence[str]) -> tuple[str | None, Explanation]:
    """Return the title of a delivery, and its explanation."""
    if len(words) != 1:
        raise typer.BadParameter("give one delivery, or a push with --push REPOSITORY REF [COMMIT]")
    session = Session.read(file)
    reader, delivery_id = session.found_delivery(words[0])
    found = reader.delivery(delivery_id)
    return title_of(found), explain_delivery(found, reader, session.configured, session.plugins)


def explain_pushed(file: Path | None, words: Sequence[str]) -> tuple[str | None, Explanation]:
    """Return the explanation of a push. Raises `ConfigurationError`, `UnknownNameError`."""
    if len(words) not in {2, 3}:
        raise typer.BadParameter("--push takes REPOSITORY REF [COMMIT]")
    from fraisier_core.config import find_config
    from fraisier_core.plugins import Plugins

    plugins = Plugins.installed()
    config = load_config(find_config(file), plugins, types=False)
    repository, ref, commit, *_ = [*words, ""]
    push = Push(
        "push", _name(repository), _addresses(repository, config), _full(ref, config), None, commit, ""
    )
    return None, explain_push(push, _provider(push, config), config, plugins)


def _name(repository: str) -> str:
    """Return the full name of a repository, that of an address without its host."""
    identity = repository_identity(repository)
    return identity.partition("/")[2] if identity else repository


def _addresses(repository: str, config: Config) -> tuple[str, ...]:
    """Return the address, or those of the configured repositories of that full name. Raises
    `UnknownNameError`.
    """
    if repository_identity(repository) is not None:
        return (repository,)
    ending = f"/{in_any_case(canonical_path(repository))}"
    known = {each.repository.identity: each.repository.url for each in config.environments}
    urls = [url for identity, url in known.items() if identity and in_any_case(identity).endswith(ending)]
    if not urls:
        raise UnknownNameError(unknown("repository", repository, map(_name, filter(None, known.values()))))
    return tuple(filter(None, urls))


def _full(ref: str, config: Config) -> str:
    """Return the full ref: a name that only rules for tags match is a tag."""
    if ref.startswith("refs/"):
        return ref
    matching = {rule.tags for rule in config.branch_mapping if rule.expression.fullmatch(ref)}
    return f"{TAG_PREFIX if matching == {True} else BRANCH_PREFIX}{ref}"


def _provider(push: Push, config: Config) -> str:
    """Return the section that would receive a push: the one on whose hosts it is, else the default."""
    identities = list(filter(None, map(repository_identity, push.urls)))
    hosts = config.git.hosts
    there = [name for name in hosts if any(is_on(each, hosts[name]) for each in identities)]
    return next(iter([*there, *filter(None, [config.git.default]), *hosts]), "")
