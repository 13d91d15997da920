"""Store in any order, many at once, and from many sides: the newest push ends up serving."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

import pytest

from tests.databases import both_databases
from tests.faults.driver import GATED, TWO_ENVIRONMENTS, Driver
from tests.faults.invariants import check_invariants

ORDERS = list(permutations(range(3)))
MANY = 120
NAMES = ["".join("abc"[number] for number in order) for order in ORDERS]


def three_pushes(driver: Driver, before: str) -> list[tuple[str, str]]:
    """Push three commits, one after another; return each with the one before it."""
    commits = [before, *(driver.commit() for _ in range(3))]
    return [(commit, earlier) for earlier, commit in pairwise(commits)]


@pytest.mark.parametrize("order", ORDERS, ids=NAMES)
def test_f31_the_newest_push_serves_whatever_the_order_at_rest(driver: Driver, order: Sequence[int]) -> None:
    driver.start()
    pushes = three_pushes(driver, driver.commit())
    seen: list[int] = []
    for number in order:
        seen.append(number)
        stale = number != max(seen)
        assert driver.deploy(*pushes[number])["status"] == ("superseded" if stale else "success")
    driver.settled()
    assert driver.serving() == pushes[2][0]
    check_invariants(driver)


@pytest.mark.parametrize("order", ORDERS, ids=NAMES)
def test_f31_the_newest_push_serves_whatever_the_order_behind_another_one(
    driver: Driver, order: Sequence[int]
) -> None:
    driver.start()
    base = driver.commit({"build.sh": GATED})
    running = driver.deliver(base).deployment
    driver.wait_for_step(running, "build")
    pushes = three_pushes(driver, base)
    deployments = [driver.deliver(*pushes[number]).deployment for number in order]
    driver.gate.touch()
    assert driver.ended(running)["status"] == "success"
    for deployment in deployments:
        driver.ended(deployment)
    driver.settled()
    assert driver.serving() == pushes[2][0]
    check_invariants(driver)


def test_f31_a_rewind_deploys_and_stands(driver: Driver) -> None:
    driver.start()
    (first, origin), (second, _), (third, _) = three_pushes(driver, driver.commit())
    for commit, before in ((first, origin), (third, second)):
        assert driver.deploy(commit, before)["status"] == "success"
    assert driver.deploy(first, before=third)["status"] == "success"
    assert driver.serving() == first
    check_invariants(driver)


def test_a_push_that_touches_nothing_mapped_is_skipped_whatever_a_rule_for_tags_says(driver: Driver) -> None:
    rules = '  v*: {{fraise: my_api, environment: production, paths: [src/**]}}\n  "*": {{tags: true, '
    driver.configure({"  main: {": rules, "        branch: main\n": ""})
    driver.start()
    ref = "refs/heads/v2"
    mapped = driver.commit({"src/page": "1"}, branch="v2")
    assert driver.ended(driver.deliver(mapped, ref=ref).deployment)["status"] == "success"
    elsewhere = driver.commit({"src/page": "1", "docs/page": "1"}, branch="v2")
    assert driver.ended(driver.deliver(elsewhere, mapped, ref=ref).deployment)["status"] == "skipped"
    assert driver.serving() == mapped
    check_invariants(driver)


def test_a_tag_is_not_superseded_by_the_branch_of_its_name(driver: Driver) -> None:
    rules = '  v2: {{fraise: my_api, environment: production}}\n  "*": {{tags: true, '
    driver.configure({"  main: {": rules, "        branch: main\n": ""})
    driver.start()
    tagged = driver.commit(branch="v2")
    driver.forge.git("tag", "v2")
    driver.forge.git("push", "--quiet", "origin", "refs/tags/v2")
    newer = driver.commit(branch="v2")
    assert driver.ended(driver.deliver(newer, tagged, ref="refs/heads/v2").deployment)["status"] == "success"
    assert driver.ended(driver.deliver(tagged, ref="refs/tags/v2").deployment)["status"] == "success"
    assert driver.serving() == tagged
    check_invariants(driver)


def test_f31_a_manual_deployment_is_never_stale_and_a_late_push_does_not_undo_it(
    driver: Driver,
) -> None:
    driver.start()
    pushes = three_pushes(driver, driver.commit())
    assert driver.deploy(*pushes[0])["status"] == "success"
    assert driver.deploy(*pushes[2])["status"] == "success"
    by_hand = driver.command("deploy", "my_api", "production", "--commit", pushes[0][0])
    assert driver.wait(by_hand) == 0
    assert driver.serving() == pushes[0][0]
    back = driver.command("rollback", "my_api", "production")
    assert driver.wait(back) == 0
    assert driver.serving() == pushes[2][0]
    assert driver.wait(driver.command("rollback", "my_api", "production", "--to", pushes[0][0])) == 0
    late = driver.deploy(*pushes[1])
    assert late["status"] == "superseded"
    driver.settled()
    assert driver.serving() == pushes[0][0]
    check_invariants(driver)


def test_f31_a_late_push_does_not_displace_a_manual_deployment_that_waits(driver: Driver) -> None:
    driver.start_web()
    pushes = three_pushes(driver, driver.commit())
    chosen = pushes[0][0]
    driver.deliver(*pushes[2])
    driver.wait(driver.command("deploy", "my_api", "production", "--commit", chosen, "--detach"))
    late = driver.deliver(*pushes[1]).deployment
    driver.start_worker()
    assert driver.ended(late)["status"] == "superseded"
    driver.settled()
    assert driver.serving() == chosen
    check_invariants(driver)


def test_f31_a_late_push_does_not_keep_an_interrupted_one_from_being_requested_anew(driver: Driver) -> None:
    driver.start_web()
    worker = driver.start_worker()
    (first, second, third) = three_pushes(driver, driver.commit())
    assert driver.deploy(*first)["status"] == "success"
    newest = driver.commit({"build.sh": GATED})
    interrupted = driver.deliver(newest, third[0]).deployment
    driver.wait_for_step(interrupted, "build")
    late = driver.deliver(*second).deployment
    driver.kill(worker)
    driver.start_worker()
    assert driver.ended(interrupted)["status"] == "interrupted"
    driver.gate.touch()  # not before: it might have come as far as to activate
    assert driver.ended(late)["status"] == "superseded"
    assert driver.ended(driver.anew(interrupted))["status"] == "success"
    assert driver.serving() == newest
    check_invariants(driver)


def test_f35_a_force_push_and_another_to_the_old_line_both_deploy(driver: Driver) -> None:
    driver.start()
    pushes = three_pushes(driver, driver.commit())
    for commit, before in pushes:
        assert driver.deploy(commit, before)["status"] == "success"
    (_, second, third) = (commit for commit, _ in pushes)
    driver.forge.git("reset", "--hard", "--quiet", pushes[0][0])
    rewritten = driver.commit(branch="rewritten")
    driver.forge.push(force=True)
    assert driver.deploy(rewritten, before=third)["status"] == "success"
    driver.forge.git("reset", "--hard", "--quiet", second)
    driver.forge.push(force=True)
    assert driver.deploy(second, before=rewritten)["status"] == "success"
    assert driver.serving() == second
    check_invariants(driver)


def test_f32_a_hundred_pushes_behind_one_are_the_newest_alone(driver: Driver) -> None:
    driver.start()
    base = driver.commit({"build.sh": GATED})
    running = driver.deliver(base).deployment
    driver.wait_for_step(running, "build")
    newest = driver.commit()
    commits = [*(f"{number:040x}" for number in range(1, 100)), newest]
    deployments = [driver.deliver(commit).deployment for commit in commits]
    assert driver.rows("SELECT id FROM tb_deployments WHERE status = 'pending'") == [{"id": deployments[-1]}]
    driver.gate.touch()
    assert driver.ended(deployments[-1])["status"] == "success"
    for deployment, newer in pairwise(deployments):
        found = driver.deployment(deployment)
        assert (found["status"], found["superseded_by"]) == ("superseded", newer)
    assert driver.ledger() == [f"build {base}", "migrate", f"build {newest}", "migrate"]
    check_invariants(driver)


@both_databases
def test_f33_of_two_workers_and_a_command_exactly_one_runs_it(driver: Driver) -> None:
    driver.start_web()
    pushed = driver.commit({"build.sh": GATED})
    deployment = driver.deliver(pushed).deployment
    driver.start_worker(slots=2)
    driver.start_worker(slots=2)
    driver.wait_for_step(deployment, "build")
    commands = [driver.command("deploy", "my_api", "production") for _ in range(2)]
    driver.wait_for(lambda: len(driver.rows("SELECT 1 FROM tb_deployments")) == 3)
    assert len(driver.rows("SELECT 1 FROM tb_deployments WHERE status = 'running'")) == 1
    driver.gate.touch()
    assert driver.ended(deployment)["status"] == "success"
    superseded, success = 14, 0
    assert sorted(driver.wait(command) for command in commands) == [success, superseded]
    assert driver.ledger().count(f"build {pushed}") == 2
    check_invariants(driver)


def test_f34_two_environments_share_a_mirror(driver: Driver) -> None:
    driver.configure(TWO_ENVIRONMENTS)
    driver.start_worker(slots=2)
    driver.start_web()
    for _ in range(3):
        commit = driver.commit({"build.sh": "#!/bin/sh\n"})
        for deployment in driver.deliver(commit).body["deployments"]:
            assert driver.ended(deployment["id"])["status"] == "success"
        assert [driver.serving("production"), driver.serving("staging")] == [commit, commit]
    assert len(list((driver.folder / ".fraisier/mirrors").glob("*.git"))) == 1
    check_invariants(driver)


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/heads/new", "refs/tags/v1"])
def test_a_commit_that_is_announced_before_it_is_served_is_asked_for_again(driver: Driver, ref: str) -> None:
    rules = "branch_mapping:\n  new: {{fraise: my_api, environment: production}}\n"
    rules += '  "v*": {{fraise: my_api, environment: production, tags: true}}'
    driver.configure({"branch_mapping:": rules})
    driver.start()
    before = driver.commit()
    assert driver.deploy(before)["status"] == "success"
    late = driver.forge.commit({"a-first": "late"})
    deployment = driver.deliver(late, None if "main" not in ref else before, ref=ref).deployment
    again = "SELECT 1 FROM tb_deployment_logs WHERE deployment_id = :id AND text LIKE '%asked for again%'"
    driver.wait_for(lambda: driver.rows(again, id=deployment))
    driver.forge.git("push", "--quiet", "origin", f"HEAD:{ref}")
    assert driver.ended(deployment)["status"] == "success"
    assert driver.serving() == late


def test_a_replay_does_not_keep_a_commit_from_being_asked_for_again(driver: Driver) -> None:
    driver.start()
    base = driver.commit()
    before = driver.commit()
    driver.deploy(before, base)
    late = driver.forge.commit({"a-first": "late"})
    announced = driver.deliver(late, before).deployment
    driver.wait_for_step(announced, "fetch")
    driver.deliver(before, base)
    driver.wait_for(lambda: "asked for again" in str(driver.database.log(announced)))
    driver.forge.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    assert driver.ended(announced)["status"] == "success"
    driver.settled()
    assert driver.serving() == late


def test_f35_a_commit_that_a_force_push_took_away_is_said_to_be_gone(driver: Driver) -> None:
    driver.start()
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    gone = driver.commit()
    driver.forge.git("reset", "--hard", "--quiet", old)
    driver.forge.push(force=True)
    missing = driver.deliver(gone, before=old).deployment
    driver.wait_for_step(missing, "fetch")
    driver.deliver(old, before=gone)
    ended = driver.ended(missing)
    assert ended["status"] == "failed"
    assert ended["error_message"].startswith(f"ref_gone: commit {gone} is not in")
    assert ended["error_message"].endswith("nothing was activated")
    assert driver.serving() == old
    check_invariants(driver)


def force_back(driver: Driver, commit: str, ref: str = "refs/heads/main") -> None:
    """Push a ref to a commit that is not the newest."""
    driver.forge.git("push", "--quiet", "--force", "origin", f"{commit}:{ref}")


def back_and_forth(driver: Driver) -> list[tuple[str, str]]:
    """Return a push, the one that undoes it, and the push once more: its body is that of the first."""
    base = driver.commit()
    newer = driver.commit()
    return [(newer, base), (base, newer), (newer, base)]


def test_a_branch_that_is_pushed_away_and_back_deploys_each_time(driver: Driver) -> None:
    driver.start()
    pushes = back_and_forth(driver)
    for commit, before in [*pushes, *pushes[1:]]:
        force_back(driver, commit)
        assert driver.deploy(commit, before)["status"] == "success"
        assert driver.serving() == commit
    check_invariants(driver)


def test_a_branch_that_is_pushed_away_and_back_while_no_worker_runs_deploys_what_it_is_at(
    driver: Driver,
) -> None:
    driver.start_web()
    pushes = back_and_forth(driver)
    answers = [driver.deliver(*push) for push in pushes]
    assert [answer.body.get("repeats") for answer in answers] == [None, None, answers[0].body["event"]]
    driver.start_worker()
    driver.settled()
    assert driver.serving() == pushes[2][0]
    check_invariants(driver)


def test_a_branch_that_returns_deploys_and_a_replay_does_not_whatever_the_clock_did(
    driver: Driver,
) -> None:
    driver.start()
    newer, base, again = back_and_forth(driver)
    assert driver.deploy(*newer)["status"] == "success"
    driver.settled()
    driver.database.recorded_at("b")
    force_back(driver, base[0])
    assert driver.deploy(*base)["status"] == "success"
    driver.settled()
    driver.database.recorded_at("a")
    assert driver.wait(driver.command("deploy", "my_api", "production", "--commit", base[0])) == 0
    driver.settled()
    driver.database.recorded_at("c")
    force_back(driver, newer[0])
    assert driver.deploy(*again)["status"] == "success"
    assert driver.wait(driver.command("deploy", "my_api", "production", "--commit", base[0])) == 0
    assert driver.deploy(*again)["status"] == "skipped"
    assert driver.serving() == base[0]


def test_what_any_number_of_replays_superseded_is_requested_again(driver: Driver) -> None:
    driver.start()
    pushes = back_and_forth(driver)
    for commit, before in pushes[:2]:
        force_back(driver, commit)
        driver.deploy(commit, before)
    gated = driver.commit({"build.sh": GATED}, branch="gated")
    running = driver.command("deploy", "my_api", "production", "--commit", gated)
    driver.wait_for(lambda: driver.rows("SELECT 1 FROM tb_steps WHERE name = 'build' AND status = 'running'"))
    force_back(driver, pushes[2][0])
    genuine = driver.deliver(*pushes[2]).deployment
    replays = [driver.deliver(*pushes[1]).deployment for _ in range(MANY)]
    driver.gate.touch()
    driver.wait(running)
    driver.settled()
    assert driver.deployment(genuine)["status"] == "superseded"
    ended = driver.deployment(replays[-1])
    assert (ended["status"], ended["superseded_by"] is not None) == ("skipped", True)
    assert f"main is at {pushes[2][0][:12]} now" in ended["error_message"]
    assert driver.serving() == pushes[2][0]
    check_invariants(driver)


def test_a_replay_deploys_only_what_was_requested_last_and_loses_no_genuine_push(driver: Driver) -> None:
    driver.start_web()
    pushes = three_pushes(driver, driver.commit())
    genuine = [driver.deliver(*push).deployment for push in pushes]
    replays = [driver.deliver(*push).deployment for push in pushes]
    waiting = driver.rows("SELECT id FROM tb_deployments WHERE status = 'pending' ORDER BY sequence")
    assert [row["id"] for row in waiting] == [genuine[-1], replays[-1]]
    driver.start_worker()
    driver.settled()
    assert driver.deployment(genuine[-1])["status"] == "success"
    ended = driver.deployment(replays[-1])
    assert (ended["status"], ended["commit_sha"]) == ("success", pushes[-1][0]), "nothing else was requested"
    assert driver.serving() == pushes[-1][0]
    assert driver.deploy(*pushes[0])["status"] == "skipped"
    check_invariants(driver)


def test_a_replay_does_not_undo_what_a_user_returned_to(driver: Driver) -> None:
    driver.start()
    pushes = three_pushes(driver, driver.commit())
    for push in pushes:
        driver.deploy(*push)
    assert driver.wait(driver.command("rollback", "my_api", "production")) == 0
    for push in (*pushes, *pushes):
        assert driver.deploy(*push)["status"] == "skipped"
    assert driver.serving() == pushes[1][0]
    check_invariants(driver)


def test_a_replay_does_not_make_a_genuine_push_stale(driver: Driver) -> None:
    driver.start()
    base = driver.commit()
    between = driver.commit()
    newest = driver.commit()
    driver.deploy(newest, base)
    force_back(driver, base)
    driver.deploy(base, newest)
    assert driver.deploy(newest, base)["status"] == "skipped"
    force_back(driver, between)
    assert driver.deploy(between, base)["status"] == "success"
    assert driver.serving() == between
    check_invariants(driver)


def test_a_tag_deploys_again_if_it_is_made_again_and_not_if_its_push_is_replayed(driver: Driver) -> None:
    driver.configure({"  main: {": '  "v*": {{tags: true, '})
    driver.start()
    first, second = driver.commit(), driver.commit()
    old, new = "refs/tags/v1", "refs/tags/v2"
    force_back(driver, first, old)
    force_back(driver, second, new)
    for commit, ref in ((first, old), (second, new)):
        assert driver.ended(driver.deliver(commit, ref=ref).deployment)["status"] == "success"
    assert driver.ended(driver.deliver(first, ref=old).deployment)["status"] == "skipped"
    assert driver.serving() == second
    driver.forge.git("push", "--quiet", "origin", f":{old}")
    gone = driver.deliver("0" * 40, first, ref=old)
    assert (gone.status, gone.body["status"]) == (200, "ignored")
    replay = driver.ended(driver.deliver(first, ref=old).deployment)
    assert (replay["status"], replay["error_message"].endswith("tag v1 is gone")) == ("skipped", True)
    force_back(driver, first, old)
    assert driver.ended(driver.deliver(first, ref=old).deployment)["status"] == "success"
    assert driver.serving() == first
    check_invariants(driver)


def test_what_any_number_of_replays_kept_from_being_requested_anew_is(driver: Driver) -> None:
    driver.start_web()
    worker = driver.start_worker()
    pushes = three_pushes(driver, driver.commit())
    assert driver.deploy(*pushes[2])["status"] == "success"
    newest = driver.commit({"build.sh": GATED})
    interrupted = driver.deliver(newest, pushes[2][0]).deployment
    driver.wait_for_step(interrupted, "build")
    replay = [driver.deliver(*pushes[2]).deployment for _ in range(MANY)][-1]
    driver.kill(worker)
    driver.gate.touch()
    driver.start_worker()
    assert driver.ended(interrupted)["status"] == "interrupted"
    assert driver.ended(replay)["status"] == "skipped"
    assert driver.ended(driver.anew(interrupted))["status"] == "success"
    assert driver.serving() == newest
    check_invariants(driver)


def message(driver: Driver, text: str) -> str:
    """Push a new version with a commit message, and return its commit."""
    driver.versions += 1
    (driver.forge.clone / "a-first").write_text(str(driver.versions))
    (driver.forge.clone / "z-last").write_text(str(driver.versions))
    driver.forge.git("commit", "--quiet", "--all", f"--message={text}")
    driver.forge.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    return driver.forge.git("rev-parse", "HEAD").strip()


def test_skip_deploy_skips_a_push_and_not_what_it_superseded_nor_a_user(driver: Driver) -> None:
    driver.configure({"        stable_for: 0\n": "        stable_for: 0\n        skip_deploy: true\n"})
    driver.start_web()
    base = driver.commit()
    wanted = message(driver, "Wanted")
    unwanted = message(driver, "Unwanted [skip deploy]\n\nfor now")
    first, second = driver.deliver(wanted, base).deployment, driver.deliver(unwanted, wanted).deployment
    driver.start_worker()
    driver.settled()
    assert driver.deployment(first)["status"] == "superseded"
    ended = driver.deployment(second)
    assert (ended["status"], ended["error_message"]) == (
        "skipped",
        f"the message of {unwanted[:12]} says [skip deploy]",
    )
    assert driver.serving() == wanted
    assert driver.wait(driver.command("deploy", "my_api", "production")) == 0
    assert driver.serving() == unwanted
    check_invariants(driver)


def test_what_says_skip_deploy_is_not_requested_again_after_a_replay(driver: Driver) -> None:
    driver.configure({"        stable_for: 0\n": "        stable_for: 0\n        skip_deploy: true\n"})
    driver.start_web()
    base = driver.commit()
    unwanted = message(driver, "[skip deploy]")
    for commit, before in ((unwanted, base), (base, unwanted), (unwanted, base), (base, unwanted)):
        driver.deliver(commit, before)
    driver.start_worker()
    driver.settled()
    assert driver.serving() == base
    statuses = [row["status"] for row in driver.rows("SELECT status FROM tb_deployments ORDER BY sequence")]
    assert statuses == ["superseded", "success", "superseded", "skipped"]
    check_invariants(driver)


def test_skip_deploy_is_off_unless_it_is_set(driver: Driver) -> None:
    driver.start()
    driver.commit()
    assert driver.deploy(message(driver, "[skip deploy]"))["status"] == "success"
