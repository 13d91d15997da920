"""Local repositories of other users: what they may not have Fraisier read with its own rights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from fraisier_core.errors import StepFailedError


def check_foreign(places: Iterable[str]) -> None:
    """Refuse a repository that belongs neither to root nor to this user, and leads elsewhere: by a link,
    or by alternate objects. Raises `StepFailedError`.
    """
    for place in map(Path, places):
        if (place / "objects").is_dir() and place.stat().st_uid not in {0, os.geteuid()}:
            for led in _leading_elsewhere(place):
                raise StepFailedError(
                    f"the repository {place} belongs to another user, and {led} leads to files that are not "
                    "in it; copy what it needs into it (`git repack -ad`), or give it to root"
                )


def _leading_elsewhere(repository: Path) -> Iterator[Path]:
    info = repository / "objects/info"
    yield from (path for path in (info / "alternates", repository / "commondir") if os.path.lexists(path))
    yield from (path for path in repository.iterdir() if path.is_symlink())
    for top in ("objects", "refs"):
        for folder, folders, files in os.walk(repository / top):
            yield from (path for name in (*folders, *files) if (path := Path(folder, name)).is_symlink())
