"""Telling the store what is configured."""

from __future__ import annotations

from collections.abc import Iterator

from fraisier_core.config import Config
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import ConfiguredEnvironment


def configure_store(store: Store, config: Config) -> None:
    """Write every configured fraise and environment, without secrets, and mark the others as gone."""
    store.configure(list(_environments(config)))


def _environments(config: Config) -> Iterator[ConfiguredEnvironment]:
    for fraise in config.fraises.values():
        for environment in fraise.environments.values():
            yield ConfiguredEnvironment(
                fraise_id=fraise.name,
                type=fraise.type,
                description=fraise.description,
                repository=environment.repository.identity,
                environment=environment.name,
                name=getattr(environment.outcome, "name", None),
                branch=environment.branch,
            )
