"""What differs in a clone's working tree from the commit that is checked out, and commits that keep it.

The clone's own index is only read: changes are gathered in an index of their own.
"""

from __future__ import annotations

import filecmp
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from fraisier_core.errors import StepFailedError
from fraisier_core.git.local import LocalRepository

_AUTHOR = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Fraisier"), ("EMAIL", "fraisier@localhost"))
}
_GIT_LINK = "160000"


class Changes:
    """The changes in the working tree of one clone."""

    def __init__(self, clone: LocalRepository) -> None:
        self._clone = clone

    def tracked(self) -> list[str]:
        """Return the tracked files with another content than a check-out would give them. Neither modes
        count, nor what a check-out itself writes otherwise than git would commit it, such as line ends; nor
        files that git was told not to look at.
        """
        options = ["--name-only", "--no-renames", "--ignore-submodules", "-z"]
        return self._differing(_split(self._clone.expect("diff-index", *options, "HEAD", "--")))

    def unhide(self, commit: str) -> list[str]:
        """Return the changed files that git was told not to look at, and that are others in a commit. Git is
        told to look at these again, or it would refuse to check the commit out, and to skip the others.
        """
        # In lower case: assumed to be unchanged. S: skipped, which is there all the same.
        hidden = {name for tag, _, name in self._index() if tag.islower() or tag == "S"}
        there = {name for name in hidden if _lies_in(self._clone.path, name)}
        if not there:
            return []
        replaced = sorted(there.intersection(self.between("HEAD", commit)))
        self._update({}, sorted(there.difference(replaced)), "--skip-worktree")
        for option in ("--no-assume-unchanged", "--no-skip-worktree"):
            self._update({}, replaced, option)
        return self._differing(replaced)

    def in_the_way(self, files: Collection[str]) -> list[str]:
        """Return the untracked files that a check-out of `files` would overwrite; a repository is one."""
        tracked = {name for _, _, name in self._index()}
        found = (each for name in files if name not in tracked for each in _occupants(self._clone.path, name))
        return sorted({name for name in found if name not in tracked})

    def commit(self, names: Sequence[str], message: str, *parents: str) -> str:
        """Return a new commit of `HEAD` in which these files are as they lie in the working tree.

        Raises `StepFailedError` if one cannot be kept.
        """
        there = [name for name in names if _lies_in(self._clone.path, name)]
        for name in names:
            if name not in there and (self._clone.path / name / ".git").exists():
                raise StepFailedError(f"{self._clone.path / name} is a repository in the way: move it away")
        with self._index_of_head() as index:
            self._update(index, names, "--force-remove")
            self._update(index, there, "--add", "--replace")
            tree = self._clone.expect("write-tree", env=index).strip()
        options = [option for parent in parents for option in ("-p", parent)]
        return self._clone.expect("commit-tree", tree, *options, given=f"{message}\n", env=_AUTHOR).strip()

    def between(self, old: str, new: str) -> list[str]:
        """Return the files that differ between two commits."""
        options = ["-r", "-z", "--name-only", "--no-renames", "--ignore-submodules"]
        return _split(self._clone.expect("diff-tree", *options, old, new))

    def submodules(self) -> Iterator[Path]:
        """Yield the working trees of the submodules that are checked out."""
        if (self._clone.path / ".gitmodules").exists():
            for _, mode, name in self._index():
                path = self._clone.path / name
                if mode == _GIT_LINK and (path / ".git").exists() and not path.is_symlink():
                    yield path

    def _differing(self, names: Iterable[str]) -> list[str]:
        wanted = sorted(set(names))
        if not wanted:
            return []
        with self._index_of_head() as index, tempfile.TemporaryDirectory(prefix="fraisier-") as folder:
            options = ["--force", "--quiet", "-z", "--stdin", f"--prefix={folder}/"]
            self._clone.ask("checkout-index", *options, given="\0".join(wanted), env=index)
            return [name for name in wanted if not _is_same(Path(folder), self._clone.path, name)]

    def _update(self, index: Mapping[str, str], names: Sequence[str], *options: str) -> None:
        arguments = ["-z", *options, "--stdin"]
        self._clone.expect("update-index", *arguments, given="\0".join(names), env=index)

    @contextmanager
    def _index_of_head(self) -> Iterator[Mapping[str, str]]:
        """Yield what lets git use an index of its own, in which nothing has changed."""
        with tempfile.TemporaryDirectory(prefix="fraisier-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._clone.expect("read-tree", "HEAD", env=index)
            yield index

    def _index(self) -> Iterator[tuple[str, str, str]]:
        """Yield the tag, mode and name of each tracked file."""
        for entry in _split(self._clone.expect("ls-files", "-v", "--stage", "-z")):
            facts, _, name = entry.partition("\t")
            tag, mode, *_ = facts.split(" ")
            yield tag, mode, name


def _split(listed: str) -> list[str]:
    return [name for name in listed.split("\0") if name]


def _lies_in(root: Path, name: str) -> bool:
    """Whether a file or link is in the working tree at a path, and not behind a link."""
    path = root / name
    behind_link = any((root / parent).is_symlink() for parent in PurePosixPath(name).parents)
    return not behind_link and (path.is_symlink() or path.is_file())


def _is_same(expected: Path, found: Path, name: str) -> bool:
    here, there = _lies_in(expected, name), _lies_in(found, name)
    if not (here and there):
        return here == there
    left, right = expected / name, found / name
    if left.is_symlink() or right.is_symlink():
        return left.is_symlink() and right.is_symlink() and left.readlink() == right.readlink()
    try:
        return filecmp.cmp(left, right, shallow=False)
    except OSError:
        return False


def _occupants(root: Path, name: str) -> Iterator[str]:
    """Yield what lies where the file `name` belongs, or one of its folders."""
    for place in (*reversed(PurePosixPath(name).parents[:-1]), PurePosixPath(name)):
        path = root / place
        if path.is_symlink() or path.is_file():
            yield str(place)
        if path.is_symlink() or not path.is_dir():
            return
    yield from _files_below(root, root / name)


def _files_below(root: Path, folder: Path) -> Iterator[str]:
    for directory, folders, files in os.walk(folder):
        here = Path(directory)
        if ".git" in (*folders, *files):
            folders.clear()
            yield str(here.relative_to(root))
        else:
            links = (each for each in folders if (here / each).is_symlink())
            yield from (str((here / each).relative_to(root)) for each in (*files, *links))
