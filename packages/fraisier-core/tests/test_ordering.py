import threading
from pathlib import Path

import pytest
from fraisier_core.engine.sources import newer_commit, superseded_by
from fraisier_core.git.mirrors import Mirror
from fraisier_core.store.records import Deployment, PushedCommit
from fraisier_core.testing.forge import Forge

pytest_plugins = ["fraisier_core.testing.forge"]


class Pushes:
    """A line of commits a, b, c and one beside it, and what pushes said about them."""

    def __init__(self, folder: Path, forge: Forge) -> None:
        self.a, self.b, self.c = (forge.push_files({"file": name}) for name in "abc")
        forge.git("checkout", "--quiet", "--detach", self.a)
        self.beside = forge.push_files({"file": "beside"}, branch="other")
        self.mirror = Mirror.in_folder(folder, forge.url, threading.Event())
        self.mirror.fetch()

    def newer(
        self, commit: str, *pushed: PushedCommit, before: str | None = None, trigger: str = "webhook"
    ) -> str | None:
        found = newer_commit(deployment(commit, before, trigger), commit, pushed, self.mirror)
        return found.commit_sha if found else None


def deployment(commit: str, before: str | None, trigger: str) -> Deployment:
    known = dict.fromkeys(Deployment._fields)
    decided = {"trigger": trigger, "ref": "refs/heads/main", "commit_sha": commit, "before_sha": before}
    return Deployment(**(known | decided))  # type: ignore[arg-type]


def pushed(commit: str, before: str | None = None) -> PushedCommit:
    return PushedCommit("other", commit, before)


@pytest.fixture
def pushes(tmp_path: Path, forge: Forge) -> Pushes:
    return Pushes(tmp_path / "mirrors", forge)


def test_an_ancestor_of_another_push_is_stale(pushes: Pushes) -> None:
    assert pushes.newer(pushes.a, pushed(pushes.b)) == pushes.b


def test_the_newest_of_many_makes_it_stale(pushes: Pushes) -> None:
    for others in ((pushes.b, pushes.c), (pushes.c, pushes.b)):
        assert pushes.newer(pushes.a, *map(pushed, others)) == pushes.c


def test_the_newest_itself_is_not_stale(pushes: Pushes) -> None:
    assert pushes.newer(pushes.c, pushed(pushes.a), pushed(pushes.c), pushed(pushes.b)) is None
    assert pushes.newer(pushes.c) is None


def test_a_commit_beside_is_not_older(pushes: Pushes) -> None:
    assert pushes.newer(pushes.beside, pushed(pushes.c)) is None


def test_a_rewind_is_not_stale(pushes: Pushes) -> None:
    assert pushes.newer(pushes.a, pushed(pushes.c), before=pushes.c) is None


def test_what_was_pushed_before_a_rewind_no_longer_counts(pushes: Pushes) -> None:
    back = pushed(pushes.a, before=pushes.c)
    assert pushes.newer(pushes.a, back, pushed(pushes.c)) is None
    assert pushes.newer(pushes.a, pushed(pushes.b), back, pushed(pushes.c)) == pushes.b


def test_a_rewind_itself_makes_what_came_before_it_stale(pushes: Pushes) -> None:
    back = pushed(pushes.b, before=pushes.c)
    assert pushes.newer(pushes.a, back, pushed(pushes.c)) == pushes.b


def test_what_was_pushed_before_a_rewrite_no_longer_counts(pushes: Pushes) -> None:
    rewrite = pushed(pushes.beside, before=pushes.c)
    assert pushes.newer(pushes.b, rewrite, pushed(pushes.c), before=pushes.beside) is None
    assert pushes.newer(pushes.a, rewrite, pushed(pushes.c)) == pushes.beside


def test_what_a_deployment_superseded_is_found_through_what_that_had_superseded() -> None:
    served, first, second, other = (deployment(name, None, "webhook") for name in "abcd")
    served, other = (each._replace(id=each.commit_sha or "") for each in (served, other))
    first = first._replace(id="first", superseded_by="second")
    second = second._replace(id="second", superseded_by="at hand")
    at_hand = deployment("e", None, "webhook")._replace(id="at hand")
    assert superseded_by(at_hand, [other, second, first, served]) == [second, first]
    anew = at_hand._replace(id="anew", recovers="at hand")
    assert superseded_by(anew, [at_hand, second, first]) == [second, first]


def test_a_manual_deployment_is_not_stale(pushes: Pushes) -> None:
    assert pushes.newer(pushes.a, pushed(pushes.c), trigger="manual") is None


def test_a_replayed_rewind_is_stale_if_something_was_pushed_since(pushes: Pushes) -> None:
    back, since = pushed(pushes.a, before=pushes.c), pushed(pushes.b, before=pushes.a)
    again = {"before": pushes.c, "trigger": "replay"}
    assert pushes.newer(pushes.a, since, back, pushed(pushes.c), **again) == pushes.b
    assert pushes.newer(pushes.a, back, pushed(pushes.c), **again) is None


def test_what_repeats_a_delivery_is_not_stale_as_its_ref_is_there(pushes: Pushes) -> None:
    found = deployment(pushes.a, None, "webhook")._replace(repeats="event")
    assert newer_commit(found, pushes.a, [pushed(pushes.b)], pushes.mirror) is None


def test_what_git_does_not_know_makes_nothing_stale(pushes: Pushes) -> None:
    assert pushes.newer(pushes.a, pushed("1" * 40)) is None
    assert pushes.newer("1" * 40, pushed(pushes.c)) is None
