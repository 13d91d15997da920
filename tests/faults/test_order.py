"""Store in any order, many at once, and from many sides: the newest push ends up serving."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

import pytest

from tests.faults.driver import GATED, Driver
from tests.faults.invariants import check_invariants

ORDERS = list(permutations(range(3)))
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
    driver.gate.touch()
    driver.start_worker()
    assert driver.ended(interrupted)["status"] == "interrupted"
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
    driver.configure(
        {
            "branch_mapping:": "      staging: {{branch: main, app_path: {folder}/staging}}\nbranch_mapping:",
            "main: {": "main: [{{fraise: my_api, environment: staging}}, {{",
            "production}\n": "production}}]\n",
        }
    )
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
    again = "SELECT 1 FROM tb_deployment_logs WHERE deployment_id = ? AND text LIKE '%asked for again%'"
    driver.wait_for(lambda: driver.rows(again, deployment))
    driver.forge.git("push", "--quiet", "origin", f"HEAD:{ref}")
    assert driver.ended(deployment)["status"] == "success"
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
