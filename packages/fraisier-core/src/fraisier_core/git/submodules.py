"""Submodules: which there are, and where `.gitmodules` may say that they come from."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fraisier_core.errors import ConfigurationError, StepFailedError
from fraisier_core.git.boundaries import check_boundaries
from fraisier_core.git.contents import Contents
from fraisier_core.git.remotes import Remote
from fraisier_core.git.trees import Tree, shown

_KEY = re.compile(r"submodule\.(.+)\.([a-z]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Submodule:
    """A commit of another repository that belongs at a path."""

    path: str
    commit: str
    url: str


def submodules_of(tree: Tree, parent: Remote, repository: Remote, contents: Contents) -> Iterator[Submodule]:
    """Yield the submodules of a commit that are `chosen`. `parent` is the repository of the commit, itself or
    a submodule of `repository`. Raises `StepFailedError` for an address that it must not choose.
    """
    for each in chosen(tree, contents):
        yield replace(each, url=_checked(each.path, each.url, parent, repository, contents))


def chosen(tree: Tree, contents: Contents) -> Iterator[Submodule]:
    """Yield the submodules of a commit that are checked out by `git clone --recurse-submodules`, with the
    addresses that it says. Of `.gitmodules`, only paths, addresses and `update = none` count.
    """
    if not contents.submodules or not tree.submodules:
        return
    said = _said(tree)
    for path, commit in tree.submodules.items():
        url, update = said.get(path, ("", ""))
        if update != "none":
            yield Submodule(path, commit, url)


def directory_in(folder: Path, path: str) -> Path:
    """Return the directory of a submodule. Raises `StepFailedError` if it lies
    elsewhere, as behind a link.
    """
    place = folder / path
    if place.parent.resolve() == (folder.resolve() / path).parent:
        place.mkdir(exist_ok=True)
    if not place.is_dir() or place.resolve() != folder.resolve() / path:
        raise StepFailedError(f"the path {shown(path)} of a submodule leads out of the release")
    return place


def _said(tree: Tree) -> dict[str, tuple[str, str]]:
    """Return address and `update` of each submodule by its path."""
    named: dict[str, dict[str, str]] = defaultdict(dict)
    for key, value in tree.config(".gitmodules"):
        if match := _KEY.fullmatch(key):
            named[match[1]][match[2]] = value
    return {
        each["path"]: (each.get("url", ""), each.get("update", ""))
        for each in named.values()
        if "path" in each
    }


def _checked(path: str, url: str, parent: Remote, repository: Remote, contents: Contents) -> str:
    what = f"the submodule {shown(path)}"
    if not url:
        raise StepFailedError(f"{what} has no address in `.gitmodules`; add it, or set `submodules: false`")
    try:
        address = _absolute(url, parent)
        found = Remote.of(address)
    except ConfigurationError as error:
        raise StepFailedError(
            f"{what} has an address in `.gitmodules` that Fraisier does not fetch from ({error}); correct "
            "it, or set `submodules: false`"
        ) from None
    check_boundaries(what, found, repository, contents, "submodules")
    return address


def _absolute(url: str, parent: Remote) -> str:
    """Return a submodule's address; one that begins with `./` or `../` goes on from its parent's."""
    base, rest, separator = parent.url.rstrip("/"), url, "/"
    while rest.startswith(("./", "../")):
        first, _, rest = rest.partition("/")
        if first == "..":
            base, separator = _above(base, url)
    return url if rest == url else f"{base}{separator}{rest}"


def _above(base: str, url: str) -> tuple[str, str]:
    separator = "/" if "/" in base else ":"
    above, found, _ = base.rpartition(separator)
    if not found or above.endswith("/"):
        raise ConfigurationError([f"{url} leads out of its host"])
    return above, separator
