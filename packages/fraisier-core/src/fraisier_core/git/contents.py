"""What of a repository becomes part of a release beside its own files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contents:
    """What the settings of a fraise say about submodules, Git LFS and filters.

    Args:
        submodules: whether the files of submodules belong to a release.
        lfs: whether files in Git LFS are downloaded.
        ignore_filters: the filters of `.gitattributes` whose files are taken as they are committed.
        protocols: what submodules and LFS may use beside the protocol of `repository:`.
    """

    submodules: bool = True
    lfs: bool = True
    ignore_filters: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()


ALL = Contents()
