"""The configuration of a process that runs for long: reloaded when its file changes."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fraisier_core.config.configuration import Config
from fraisier_core.config.database import place_of_store
from fraisier_core.config.last_good import kept_text, unusable
from fraisier_core.config.parsing import load_config, parse_config
from fraisier_core.errors import ConfigurationError
from fraisier_core.plugins import Plugins


@dataclass(eq=False)
class ConfigSource:
    """What the file says; what it last said, if it was changed to something that cannot be used. The
    arguments are those of `parse_config`; below each of `needs` every variable must be set. Raises
    `ConfigurationError` if the file cannot be used from the start, unless `last_good` allows what was kept of
    it; `problem` is then what is wrong with it.
    """

    path: Path
    plugins: Plugins
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    parts: Collection[str] = field(default=(), kw_only=True)
    needs: Sequence[Sequence[str]] = field(default=(), kw_only=True)
    last_good: bool = field(default=False, kw_only=True)
    problem: ConfigurationError | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._signature = self._file_signature()
        self._config = self._load_or_kept() if self.last_good else self._load()

    def current(self) -> Config:
        """Return what the file says, or said before a change that cannot be used; that is logged once."""
        signature = self._file_signature()
        if signature != self._signature:
            self._signature = signature
            self._reload()
        return self._config

    def _reload(self) -> None:
        import logging  # most processes never reload, and commands start faster without it

        log = logging.getLogger(__name__)
        try:
            config = self._load()
            if problem := unusable(config, self._config):
                raise problem
        except ConfigurationError as error:
            log.warning("the new configuration is invalid; the last valid one stays in force:\n%s", error)
        else:
            self._config = config
            log.info("configuration reloaded from %s", self.path)

    def _load(self) -> Config:
        return self._complete(load_config(self.path, self.plugins, self.environ, parts=self.parts))

    def _load_or_kept(self) -> Config:
        """Return what the file says or, if something in it cannot be used, what was kept of it."""
        try:
            config = self._load()
        except ConfigurationError as error:
            kept, self.problem = self._kept(), error
            if kept is None:
                raise
            return kept
        if (problem := unusable(config)) and (kept := self._kept()) and unusable(config, kept):
            self.problem = problem
            return kept
        return config

    def _kept(self) -> Config | None:
        with suppress(ConfigurationError):
            text = kept_text(place_of_store(self.path, self.plugins, self.environ))
            if text is not None:
                kept = parse_config(text, self.path, self.plugins, self.environ, parts=self.parts)
                return self._complete(kept)
        return None

    def _complete(self, config: Config) -> Config:
        for keys in self.needs:
            config.require(*keys)
        return config

    def _file_signature(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116 - on the path of every request, and half the cost
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
