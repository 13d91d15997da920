"""Mirrors: bare copies of remote repositories, from which releases are made.

Nothing here runs what a repository brings along: a mirror is bare, a release is a checkout of one commit, of
filters only Git LFS is used, and hooks are off.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from os import getpid
from pathlib import Path

from fraisier_core.errors import AppPathRefusedError, CommitGoneError, GitUnreachableError, StepFailedError
from fraisier_core.git.access import NO_ACCESS, Access
from fraisier_core.git.bounds import Deadline, Nesting
from fraisier_core.git.checkouts import Checkout
from fraisier_core.git.contents import ALL, Contents
from fraisier_core.git.diagnosis import DAMAGE
from fraisier_core.git.downloads import DamagedError
from fraisier_core.git.fetched import LIMITS, RETRY_SECONDS, FetchedRepository
from fraisier_core.git.filters import Lfs, uses_lfs
from fraisier_core.git.local import abbreviation, checked_ref, full_id
from fraisier_core.git.remotes import Remote
from fraisier_core.git.submodules import Submodule, directory_in, submodules_of
from fraisier_core.git.trees import Tree, shown
from fraisier_core.push import BRANCH_PREFIX, TAG_PREFIX, is_ref_name
from fraisier_core.system.commands import Limits
from fraisier_core.text.suggestions import hint


class Mirror(FetchedRepository):
    """The copy of a repository that is shared by every fraise that comes from it. `contents` says what
    becomes part of a release; of a submodule, `within` says where in a release it is.
    """

    def __init__(
        self,
        path: Path,
        url: str,
        cancelled: threading.Event,
        *,
        access: Access = NO_ACCESS,
        contents: Contents = ALL,
        within: Nesting | None = None,
        limits: Limits = LIMITS,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
        deadline: Deadline | None = None,
    ) -> None:
        remote = Remote.of(url, access)
        super().__init__(
            path, remote, cancelled, limits=limits, retry_seconds=retry_seconds, deadline=deadline
        )
        self.contents = contents
        self._within = within
        self._top = within.top if within else remote

    @classmethod
    def in_folder(
        cls,
        folder: Path,
        url: str,
        cancelled: threading.Event,
        *,
        access: Access = NO_ACCESS,
        contents: Contents = ALL,
        limits: Limits = LIMITS,
    ) -> Mirror:
        """Return the one mirror of a repository among the mirrors in `folder`, whichever address it has."""
        path = Remote.of(url).mirror_path(folder)
        found = replace(contents, mirrors=folder)
        return cls(path, url, cancelled, access=access, contents=found, limits=limits)

    def resolve_ref(self, ref: str) -> str:
        """Return the full id of a branch's or tag's newest commit; raises `CommitGoneError` if it is gone."""
        found = checked_ref(ref)
        answer = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{found}^{{commit}}")
        if answer.status != 0:
            missing = f"ref_gone: {self.remote.url} has no {found}"
            raise CommitGoneError(f"{missing}{self._nearest(found)}{self.git_said()}")
        return full_id(answer.output.strip())

    def _nearest(self, ref: str) -> str:
        """Return which branch or tag may be meant instead of one that is not here."""
        kind = TAG_PREFIX if ref.startswith(TAG_PREFIX) else BRANCH_PREFIX
        names = self.ask("for-each-ref", "--format=%(refname)", kind).output.splitlines()
        name = ref.removeprefix(kind).removeprefix("origin/")
        return hint(name, [each.removeprefix(kind) for each in names])

    def resolve_commit(self, text: str) -> str:
        """Return the full id of the commit that `text` begins; raises `CommitGoneError` unless it is one."""
        short = abbreviation(text)
        # A branch may have such a name, and git would take that first.
        listed = self.ask("rev-parse", f"--disambiguate={short}").output.split()
        found = self._known(listed) if listed else set()
        if len(found) == 1:
            return full_id(found.pop())
        reason = "is ambiguous, give more digits" if found else "is not a commit of"
        raise CommitGoneError(f"ref_gone: {short} {reason}: {self.remote.url}{self.git_said()}")

    def require(self, commit: str) -> str:
        """Return the full id of a commit that is here; raises `CommitGoneError` if it is not."""
        arguments = ["rev-parse", "--verify", "--end-of-options", f"{full_id(commit)}^{{commit}}"]
        answer = self.ask(*arguments)
        if answer.status != 0 and DAMAGE.search(answer.errors):
            self.renew()
            answer = self.ask(*arguments)
        if answer.status != 0:
            raise CommitGoneError(
                f"ref_gone: commit {commit} is not in {self.remote.url}; was it replaced by a force-push, "
                f"or its branch deleted?{self.git_said()}"
            )
        return full_id(answer.output.strip())

    def message(self, commit: str) -> str:
        """Return the message of a commit, nothing if the commit is not here."""
        return self.ask("log", "--no-walk", "--format=%B", "--end-of-options", full_id(commit)).output

    def export(self, commit: str, into: Path) -> None:
        """Write the files of a commit into a new directory, those of submodules and Git LFS included.

        Raises `AppPathRefusedError` if `into` is anything but absent or an empty directory, and
        `StepFailedError` if the files cannot be had or written. A damaged mirror is fetched again first.
        """
        _make_empty_directory(into)
        with self.bounded():
            self._export(full_id(commit), into, into.with_name(f"{into.name}.index"))

    def obtain(self, commit: str) -> None:
        """Make sure that a commit is here, fetching it if it is not. Raises `CommitGoneError`."""
        if self.path.exists() and self.has(full_id(commit)):
            return
        self.fetch()
        if not self.has(commit):
            with suppress(GitUnreachableError), self.locked() as download:
                download.fetch_commit(self.path, commit)
            self.require(commit)

    def submodules(self, commit: str) -> Iterator[tuple[Submodule, Mirror]]:
        """Yield each submodule of a commit and the mirror of its repository, which has that of the submodule.
        Raises `StepFailedError` for one that must not be fetched, or cannot be.
        """
        return self._submodules(Tree.of(self, commit))

    def _submodules(self, tree: Tree) -> Iterator[tuple[Submodule, Mirror]]:
        nesting = self._within or Nesting(self._top)
        for submodule in submodules_of(tree, self.remote, self._top, self.contents):
            self.git.deadline.left()
            mirror = self._mirror_of(submodule.url, nesting.inner(shown(submodule.path)))
            try:
                mirror.obtain(submodule.commit)
            except StepFailedError as error:
                what = f"the submodule {shown(submodule.path)} cannot be had: {error}"
                raise _as(error, f"{what} (`submodules: false` does without)") from None
            yield submodule, mirror

    def obtain_contents(self, commit: str) -> None:
        """Make sure that all that belongs to a commit is here. Raises `StepFailedError`."""
        index = self.path.with_name(f"{self.path.name}.index-{getpid()}")
        with self.bounded():
            tree = Tree.of(self, commit)
            self._lfs(tree, Checkout(self, self.git, index))
            for submodule, mirror in self._submodules(tree):
                mirror.obtain_contents(submodule.commit)

    def bounded(self) -> AbstractContextManager[None]:
        """Have all that is fetched and written during the block, submodules included, take no longer than one
        fetch may.
        """
        return self.git.deadline.after(self.git.limits.wall)

    def describe(self, commit: str) -> str:
        """Return what `git describe --tags --always` says of a commit, its abbreviation if that would not be
        made of the name of a tag that is here. Raises `StepFailedError`.
        """
        said = self.expect("describe", "--tags", "--always", "--long", full_id(commit)).strip()
        # git takes the name that an annotated tag says it has, which is any text.
        tag = said.rsplit("-", 2)[0]
        is_name = is_ref_name(tag) and tag.isprintable()
        if is_name and self.ask("show-ref", "--verify", "--quiet", f"{TAG_PREFIX}{tag}").status == 0:
            return self.expect("describe", "--tags", "--always", full_id(commit)).strip()
        return self.expect("rev-parse", "--short", full_id(commit)).strip()

    def _mirror_of(self, url: str, within: Nesting) -> Mirror:
        """Return the mirror of a submodule; it lies beside that of the repository of the release, because
        others that have the same submodule need not have the same access to it.
        """
        folder = self.path.parent if self._within else self.path.with_name(f"{self.path.name}.submodules")
        path = Remote.of(url).mirror_path(folder)
        return Mirror(
            path,
            url,
            self.git.cancelled,
            access=self.remote.access,
            contents=self.contents,
            within=within,
            limits=self.git.limits,
            retry_seconds=self.retry_seconds,
            deadline=self.git.deadline,
        )

    def _export(self, commit: str, into: Path, index: Path) -> None:
        checkout, tree = Checkout(self, self.git, index), Tree.of(self, commit)
        config = self._lfs(tree, checkout)
        try:
            checkout.write(commit, into, config)
        except DamagedError:
            self.renew()
            mode = into.stat().st_mode
            shutil.rmtree(into)
            into.mkdir()
            into.chmod(mode)
            checkout.write(commit, into, config)
        for submodule, mirror in self._submodules(tree):
            mirror._export(submodule.commit, directory_in(into, submodule.path), index)

    def _lfs(self, tree: Tree, checkout: Checkout) -> Mapping[str, str]:
        """Return git's configuration for the large files of a commit, which are here then."""
        if not tree.may_filter():
            return {}
        checkout.list(tree.commit)
        if not uses_lfs(tree, checkout.index, self.contents):
            return {}
        lfs = Lfs.of(tree, self.remote, self._top, self.contents)
        with self.locked() as download:
            from_lfs = replace(download, git=replace(self.git, remote=lfs.remote))
            from_lfs.fetch_large_files(self.path, tree.commit, lfs.config)
        return lfs.config


def _as(error: StepFailedError, message: str) -> StepFailedError:
    """Return an error of the same kind that says more."""
    found = type(error)(message)
    found.output = error.output
    return found


def _make_empty_directory(path: Path) -> None:
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if path.is_symlink() or not path.is_dir() or any(path.iterdir()):
        raise AppPathRefusedError(
            f"{path} is in the way of an export: it must be absent or an empty directory"
        )
