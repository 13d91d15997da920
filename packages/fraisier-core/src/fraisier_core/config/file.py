"""Reading the configuration file itself: a regular file of bounded size, in UTF-8."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fraisier_core.config.yamlfile import MAX_BYTES
from fraisier_core.errors import ConfigurationError


def config_text(path: Path) -> str:
    """Return what a configuration file holds, cut if it is too large to be accepted.

    Raises `ConfigurationError` if it cannot be read, is not a regular file, or no UTF-8 text.
    """
    try:
        # A pipe would be waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigurationError([f"{path}: is not a regular file"])
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{path}:{line}: is not UTF-8 text"]) from None
