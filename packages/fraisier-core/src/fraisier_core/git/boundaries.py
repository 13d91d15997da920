"""What a repository may choose: no protocol but its own, and no place on this machine."""

from __future__ import annotations

from pathlib import Path

from fraisier_core.errors import StepFailedError
from fraisier_core.git.contents import Contents
from fraisier_core.git.remotes import Remote


def check_boundaries(what: str, found: Remote, repository: Remote, contents: Contents, setting: str) -> None:
    """Refuse what the repository names but must not choose: another protocol, a path anywhere on this
    machine. `what` names it, `setting` does without it. Raises `StepFailedError`.
    """
    protocol = found.protocols.split(":")[0]
    if protocol not in {*repository.protocols.split(":"), *contents.protocols}:
        ours = repository.protocols.split(":")[0]
        choice = f"allow it by `protocols: [{protocol}]`, or " if protocol != "file" else ""
        raise StepFailedError(
            f"{what} is at {found.url}: `repository:` uses {ours}, and what it contains may not choose "
            f"{protocol}; {choice}set `{setting}: false`"
        )
    if protocol == "file" and _is_mirror(found, contents):
        raise StepFailedError(
            f"{what} is at {found.url}, in Fraisier's folder of mirrors; name the repository itself, or set "
            f"`{setting}: false`"
        )
    if protocol == "file" and not _beside(found, repository):
        raise StepFailedError(
            f"{what} is at {found.url}, outside of the folder of `repository:`; move it there, or set "
            f"`{setting}: false`"
        )


def _beside(found: Remote, repository: Remote) -> bool:
    """Whether a local repository lies in the folder that holds the other."""
    return Path(found.local_path).resolve().is_relative_to(Path(repository.local_path).resolve().parent)


def _is_mirror(found: Remote, contents: Contents) -> bool:
    path = Path(found.local_path).resolve()
    return contents.mirrors is not None and path.is_relative_to(contents.mirrors.resolve())
