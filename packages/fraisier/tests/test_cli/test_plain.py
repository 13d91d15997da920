from __future__ import annotations

import pytest
from fraisier.cli.follow import FollowedStep, PlainDisplay, Progress, Remark
from fraisier_core.store.records import Deployment, Step

AT = "2026-01-31T12:00:00.000000Z"
RUNNING = Step(1, 1, "build", "running", True, AT, None, None, None)
DONE = RUNNING._replace(status="success", completed_at=AT, duration=1.25)


@pytest.fixture
def deployment() -> Deployment:
    nothing = dict.fromkeys(Deployment._fields)
    return Deployment(**nothing)  # type: ignore[arg-type]


def test_only_whole_lines_are_printed_while_a_step_runs(deployment: Deployment) -> None:
    lines: list[str] = []
    display = PlainDisplay(lines.append)
    display.show(Progress(deployment, [FollowedStep(RUNNING, "one\ntw")]))
    assert lines == ["build ...", "  one"]
    display.show(Progress(deployment, [FollowedStep(RUNNING, "one\ntwo\nthr")]))
    assert lines == ["build ...", "  one", "  two"]
    display.show(Progress(deployment, [FollowedStep(DONE, "one\ntwo\nthr")]))
    assert lines[3:] == ["  thr", "build: done, 1.2 s"]


def test_a_finished_step_is_printed_once(deployment: Deployment) -> None:
    lines: list[str] = []
    display = PlainDisplay(lines.append)
    for _ in range(2):
        display.show(Progress(deployment, [FollowedStep(DONE, "one\n")]))
    assert lines == ["build ...", "  one", "build: done, 1.2 s"]


def test_a_second_attempt_is_another_step(deployment: Deployment) -> None:
    lines: list[str] = []
    display = PlainDisplay(lines.append)
    again = DONE._replace(attempt=2, status="failed")
    display.show(Progress(deployment, [FollowedStep(DONE), FollowedStep(again)]))
    assert lines == ["build ...", "build: done, 1.2 s", "build ...", "build: failed, 1.2 s"]


def test_a_remark_is_printed_once_and_between_the_steps_where_it_was_made(deployment: Deployment) -> None:
    lines: list[str] = []
    display = PlainDisplay(lines.append)
    remark = Remark("rolling back: no answer", 1)
    failed, next_step = DONE._replace(status="failed"), RUNNING._replace(number=2, name="activate")
    display.show(Progress(deployment, [FollowedStep(failed)], [remark]))
    display.show(Progress(deployment, [FollowedStep(failed), FollowedStep(next_step)], [remark]))
    assert lines == ["build ...", "build: failed, 1.2 s", "rolling back: no answer", "activate ..."]
    again: list[str] = []
    PlainDisplay(again.append).show(
        Progress(deployment, [FollowedStep(failed), FollowedStep(next_step)], [remark])
    )
    assert again == lines


def test_a_step_that_fails_before_the_activation_says_why(deployment: Deployment) -> None:
    failed = FollowedStep(DONE._replace(status="failed", message="no interpreter"), "one\n")
    lines: list[str] = []
    PlainDisplay(lines.append).show(Progress(deployment, [failed]))
    assert lines == ["build ...", "  one", "  no interpreter", "build: failed, 1.2 s"]
    lines.clear()
    activated = deployment._replace(activation_started=True)  # a remark on the rollback says why
    PlainDisplay(lines.append).show(Progress(activated, [failed]))
    assert lines == ["build ...", "  one", "build: failed, 1.2 s"]
