"""Filters that `.gitattributes` names: Git LFS is used, another is refused unless it is to be ignored."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fraisier_core.errors import ConfigurationError, StepFailedError
from fraisier_core.git.boundaries import check_boundaries
from fraisier_core.git.contents import Contents
from fraisier_core.git.remotes import Remote
from fraisier_core.git.trees import Tree, shown

LFS = "lfs"
_PROGRAM = "git-lfs"
_SET = ("unspecified", "unset", "set")
_URLS = ("lfs.url", "remote.origin.lfsurl")
_CHOICES = ("lfs.fetchinclude", "lfs.fetchexclude")


@dataclass(frozen=True, slots=True)
class Lfs:
    """Where the large files of a commit are, and git's configuration for them; of `.lfsconfig`
    nothing else counts.
    """

    remote: Remote
    config: Mapping[str, str]

    @classmethod
    def of(cls, tree: Tree, remote: Remote, repository: Remote, contents: Contents) -> Lfs:
        """Return what a commit of the repository at `remote`, itself or a submodule of `repository`, says.
        Raises `StepFailedError` if it chooses what it must not.
        """
        said = dict(tree.config(".lfsconfig"))
        url = next((said[key] for key in _URLS if said.get(key)), None)
        try:
            endpoint = Remote.of(url or _endpoint(remote), remote.access)
        except ConfigurationError as error:
            raise StepFailedError(f"`.lfsconfig` names {url!r}: {error}; set `lfs: false`") from None
        if url is not None:
            check_boundaries("the Git LFS of `.lfsconfig`", endpoint, repository, contents, "lfs")
        config = {key: said.get(key, "") for key in _CHOICES}
        where = {"lfs.url": endpoint.url, "remote.origin.url": endpoint.url}
        return cls(endpoint, {**config, **where, **_DRIVER, **endpoint.config})


_DRIVER = {
    "filter.lfs.process": f"{_PROGRAM} filter-process",
    "filter.lfs.clean": f"{_PROGRAM} clean -- %f",
    "filter.lfs.smudge": f"{_PROGRAM} smudge -- %f",
    "filter.lfs.required": "true",
    "lfs.forceprogress": "true",
}


_NO_DRIVER = {f"filter.lfs.{key}": "" for key in ("process", "clean", "smudge")} | {
    "filter.lfs.required": "false"
}


def lfs_in_place(mirror: Path | None, contents: Contents) -> dict[str, str]:
    """Return git's configuration for files in Git LFS of a clone: they come from a mirror, which has them
    already, and from nowhere else.
    """
    if not contents.lfs or LFS in contents.ignore_filters:
        return dict(_NO_DRIVER)
    if shutil.which(_PROGRAM) is None:
        return {}
    local = {"lfs.url": f"file://{quote(str(mirror or os.devnull))}", "lfs.skipdownloaderrors": "false"}
    return {**_DRIVER, **local, **({"lfs.storage": str(mirror / "lfs")} if mirror else {})}


def uses_lfs(tree: Tree, index: Path, contents: Contents) -> bool:
    """Whether files of a commit, which `index` holds, are in Git LFS. Raises `StepFailedError` if that is not
    installed, or another filter would have to run.
    """
    named = _filters(tree, index)
    for name, path in named.items():
        if name != LFS and name not in contents.ignore_filters:
            raise StepFailedError(
                f"`.gitattributes` sets filter={name} for {shown(path)}: Fraisier runs none but Git LFS; "
                "list it in `ignore_filters:` to take such files as they are committed"
            )
    if LFS not in named or not contents.lfs or LFS in contents.ignore_filters:
        return False
    if shutil.which(_PROGRAM) is None:
        raise StepFailedError(
            f"{shown(named[LFS])} is in Git LFS, and git-lfs is not installed on this server: install the "
            "package git-lfs, or set `lfs: false` to take the pointers in place of such files"
        )
    return True


def _filters(tree: Tree, index: Path) -> dict[str, str]:
    """Return the filters that apply to files of a commit, each with one of these."""
    env = {"GIT_INDEX_FILE": str(index)}
    files = tree.repository.expect("ls-files", "-z", "--cached", env=env)
    arguments = ["check-attr", "--cached", "-z", "--stdin", "filter"]
    fields = tree.repository.expect(*arguments, given=files, env=env).split("\0")
    found = zip(fields[0::3], fields[2::3], strict=False)
    return {name: path for path, name in found if name not in _SET}


def _endpoint(remote: Remote) -> str:
    """Return where a forge has the large files of a repository, as Git LFS says."""
    if remote.protocols == "file":
        return f"file://{quote(remote.local_path)}"
    if remote.protocols == "ssh":
        return remote.url
    return f"{remote.url.rstrip('/').removesuffix('.git')}.git/info/lfs"
