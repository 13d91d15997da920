"""What of a repository becomes part of a release beside its own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Contents:
    """What the settings of a fraise say about submodules, Git LFS and filters.

    Args:
        submodules: whether the files of submodules belong to a release.
        lfs: whether files in Git LFS are downloaded.
        ignore_filters: the filters of `.gitattributes` whose files are taken as they are committed.
        protocols: what submodules and LFS may use beside the protocol of `repository:`.
        mirrors: the folder of what was fetched for every fraise, with the credentials of each.
    """

    submodules: bool = True
    lfs: bool = True
    ignore_filters: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()
    mirrors: Path | None = None


ALL = Contents()
