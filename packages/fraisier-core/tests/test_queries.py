import os
from pathlib import Path

import pytest
from fraisier_core.errors import StepFailedError
from fraisier_core.git.local import LocalRepository
from fraisier_core.git.trees import Tree
from fraisier_core.system.queries import NoAnswerError, answer

from tests.origins import Origin, mirror_of

ENV = {"PATH": os.environ["PATH"]}


def bomb(origin: Origin, name: str, levels: int, width: int) -> str:
    """Return a commit of few objects and of very many files."""
    entry = ("100644", name, origin.write("blob", b"1"))
    for _ in range(levels):
        kind, _, content = entry
        tree = origin.write_tree(*((kind, f"{name}{each:02}", content) for each in range(width)))
        entry = ("40000", name, tree)
    return origin.write_commit(entry[2], "main")


@pytest.mark.parametrize(("name", "levels", "width"), [("x" * 200, 6, 10), ("y" * 20, 5, 20), ("z", 4, 99)])
def test_a_commit_of_too_many_files_is_refused(tmp_path: Path, name: str, levels: int, width: int) -> None:
    origin = Origin(tmp_path / "git")
    commit, mirror = bomb(origin, name, levels, width), mirror_of(str(origin.path), tmp_path)
    mirror.fetch()
    with pytest.raises(StepFailedError, match=r"git ls-tree in .*: it says more than 128 MiB"):
        mirror.export(commit, tmp_path / "out")
    with pytest.raises(StepFailedError, match="more than 128 MiB"):
        mirror.files(commit)


def test_attributes_of_too_many_bytes_are_refused(tmp_path: Path) -> None:
    origin = Origin(tmp_path / "git")
    commit = origin.commit(**{".gitattributes": "#" * (129 * 2**20)})
    with pytest.raises(StepFailedError, match=r"git cat-file in .*: it says more than 128 MiB"):
        Tree.of(LocalRepository(origin.path), commit).may_filter()


@pytest.mark.parametrize("stream", ["", ">&2"])
@pytest.mark.parametrize("endless", ["yes", "cat /dev/zero", "while :; do echo x; done"])
def test_an_endless_answer_is_ended(endless: str, stream: str) -> None:
    with pytest.raises(NoAnswerError, match="it says more than 1 MiB"):
        answer(["sh", "-c", f"exec {stream}; {endless}"], env=ENV, given=b"", seconds=30, most_bytes=2**20)


@pytest.mark.parametrize("silent", ["sleep 60", "exec >&- 2>&-; exec sleep 60", "echo x; exec sleep 60"])
def test_an_answer_that_does_not_come_is_not_waited_for(silent: str) -> None:
    with pytest.raises(NoAnswerError, match=r"it took longer than 0.1 s"):
        answer(["sh", "-c", f"exec 3>&-; {silent}"], env=ENV, given=b"", seconds=0.1, most_bytes=10)


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_what_is_given_is_read(size: int) -> None:
    given = b"x" * size
    said = answer(
        ["sh", "-c", "tee /dev/stderr; exit 3"], env=ENV, given=given, seconds=30, most_bytes=2_000_000
    )
    assert said == (3, given, given)


def test_a_command_that_is_missing_is_told() -> None:
    with pytest.raises(NoAnswerError, match="No such file"):
        answer(["/missing/program"], env=ENV, given=b"", seconds=30, most_bytes=10)
