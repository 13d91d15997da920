import os
import subprocess
from pathlib import Path

import pytest
from fraisier_core.engine.forward import execute
from fraisier_core.engine.recovery import recover, recover_unactivated
from fraisier_core.errors import (
    AppPathRefusedError,
    CancelledError,
    FencedError,
    InterruptedRunError,
    StoreError,
)
from fraisier_core.store.events import Event
from fraisier_core.store.records import Deployment, Lease
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.forge import Forge

from tests.installation import Installation
from tests.kinds import AUDIT
from tests.packages import PackageFolder

pytest_plugins = ["fraisier_core.testing.forge"]

ME = ProcessIdentity.of(os.getpid())
DEPLOYER = """
import sqlite3
from pathlib import Path

from fraisier_core import ActivationRefusedError, Health, hookimpl

LOCKED = []

def obey(run, name):
    file = run.release.path / name
    order = file.read_text().strip() if file.exists() else ""
    if order == "raise":
        raise RuntimeError("the plugin broke with hunter2hunter2")
    if order == "lock":  # as a backup would that takes too long
        store = sqlite3.connect(run.release.path.parents[3] / "fraisier.db", isolation_level=None)
        store.execute("BEGIN IMMEDIATE")
        LOCKED.append(store)
    if order == "activate":
        run.activate()
    if order == "refuse":
        raise ActivationRefusedError("no restart for you")

@hookimpl
def deploy(run):
    if (run.release.path / "forget").exists():
        return
    obey(run, "before")
    if (run.release.path / "verify").exists():
        run.command(["verify"])
    with run.step("migrate", repeatable=False):
        obey(run, "migrate")
        if (run.release.path / "change").exists():
            run.command(["sh", "change"])
    run.activate()
    with run.step("restart"):
        run.note(f"{run.release.name} after {run.previous and run.previous.name}")
    Path(run.settings.env["RUNNING"]).write_text(run.release.commit_sha)
    obey(run, "after")

@hookimpl
def health_check(run):
    obey(run, "health")
    told = " with hunter2hunter2" if (run.release.path / "health").exists() else ""
    return Health(not (run.release.path / "unhealthy").exists(), f"asked{told}")
"""
CONFIGURATION = """\
fraises:
  site:
    type: static
    repository: {repository}
    environments:
      production:
        branch: main
        app_path: {folder}/app
        health_check: {{command: ["true"], retries: 2, interval: 0}}
        stable_for: 0
        keep_releases: 2
        env: {{RUNNING: {folder}/running}}
branch_mapping:
  main: {{fraise: site, environment: production, paths: [site]}}
"""


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further row of the kinds: it calls a hook for the release that serves, and activates nothing."""
    monkeypatch.setitem(KINDS, AUDIT.name, AUDIT)


@pytest.fixture
def installation(tmp_path: Path, forge: Forge, site: PackageFolder) -> Installation:
    return Installation(tmp_path, forge, site, DEPLOYER, CONFIGURATION)


@pytest.fixture
def unlinked(tmp_path: Path, forge: Forge, site: PackageFolder) -> Installation:
    """An environment without `app_path`: its deployer alone knows what runs."""
    return Installation(
        tmp_path, forge, site, DEPLOYER, CONFIGURATION.replace("        app_path: {folder}/app\n", "")
    )


def test_a_deployment_takes_its_own_commit_and_not_the_newest(installation: Installation) -> None:
    wanted = installation.forge.push_files({"site/page": "1"})
    installation.forge.push_files({"site/page": "2"})
    done = installation.execute(wanted)
    assert (done.status, done.commit_sha) == ("success", wanted)
    assert installation.serving == wanted
    assert installation.steps(done) == [
        (name, "success") for name in ("fetch", "migrate", "activate", "restart", "verify")
    ]
    assert (installation.folder / "app/site/page").read_text() == "1"


@pytest.mark.usefixtures("audits")
class TestAKindThatActivatesNothing:
    def test_it_is_called_for_the_serving_release_which_goes_on_serving(
        self, installation: Installation
    ) -> None:
        deployed = installation.execute(installation.forge.push_files({"site/page": "1"}))
        done = installation.execute(kind="audit")
        assert (done.status, done.release) == ("success", deployed.release)
        assert (done.commit_sha, done.previous_release) == (deployed.commit_sha, None)
        assert (installation.steps(done), done.activation_started) == ([], False)
        (status,) = installation.store.status()
        assert (status.serving_release, status.deployment_id) == (deployed.release, deployed.id)
        assert [each.release for each in installation.store.healthy_releases("site", "production")] == [
            deployed.release
        ]

    def test_it_fails_if_nothing_serves(self, installation: Installation) -> None:
        done = installation.execute(kind="audit")
        assert done.error_message == "no release of site production serves"

    def test_it_may_not_activate(self, installation: Installation) -> None:
        deployed = installation.execute(installation.forge.push_files({"site/page": "1"}))
        (installation.folder / "app/health").write_text("activate")
        done = installation.execute(kind="audit")
        assert (done.status, done.activation_started) == ("failed", False)
        assert "this kind activates nothing" in (done.error_message or "")
        assert installation.serving == deployed.commit_sha

    def test_outside_every_lane_it_runs_beside_a_deployment(self, installation: Installation) -> None:
        installation.execute(installation.forge.push_files({"site/page": "1"}))
        running = installation.claim()
        assert installation.store.running("site", "production", "release") == running.deployment_id
        assert installation.store.running("site", "production", "run") is None
        assert installation.execute(kind="audit").status == "success"


@pytest.mark.parametrize(("file", "unrepeatable"), [("before", False), ("migrate", True)])
def test_a_step_that_may_not_run_again_is_recorded_as_it_begins(
    installation: Installation, file: str, unrepeatable: bool
) -> None:
    lease = installation.claim(installation.forge.push_files({file: "raise"}))
    execution = installation.execution(lease)
    execute(execution)
    assert installation.deployment(lease).unrepeatable is unrepeatable
    assert execution.deployment.unrepeatable is unrepeatable


def test_without_a_commit_it_takes_the_newest_of_the_branch(installation: Installation) -> None:
    installation.forge.push_files({"site/page": "1"})
    newest = installation.forge.push_files({"site/page": "2"})
    assert installation.execute().commit_sha == newest


def test_the_beginning_of_a_commit_is_completed(installation: Installation) -> None:
    commit = installation.forge.push_files({"site/page": "1"})
    assert installation.execute(commit[:10]).commit_sha == commit


def test_a_push_that_touched_none_of_the_paths_is_skipped(installation: Installation) -> None:
    served = installation.forge.push_files({"site/page": "1"})
    installation.execute(served, trigger="webhook")
    elsewhere = installation.forge.push_files({"docs/page": "1"})
    done = installation.execute(elsewhere, trigger="webhook", pathspecs=(("site",),))
    assert done.status == "skipped"
    assert installation.serving == served
    by_hand = installation.execute(elsewhere)
    assert by_hand.status == "success"


def test_what_changed_is_compared_with_the_serving_commit_and_not_with_the_previous_push(
    installation: Installation,
) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}), trigger="webhook")
    installation.forge.push_files({"site/page": "2"})  # superseded by the next one
    done = installation.execute(
        installation.forge.push_files({"docs/page": "1"}), trigger="webhook", pathspecs=(("site",),)
    )
    assert done.status == "success"


def test_a_change_counts_if_one_of_the_lists_matches_it(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}), trigger="webhook")
    pages = ("site", ":(exclude)site/drafts")
    draft = installation.forge.push_files({"site/drafts/page": "1"})
    done = installation.execute(draft, trigger="webhook", pathspecs=(pages, ("docs",)))
    assert done.status == "skipped"
    done = installation.execute(draft, trigger="webhook", pathspecs=(pages, ("site/drafts",)))
    assert done.status == "success"


def test_a_new_branch_is_compared_with_the_serving_commit(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}), trigger="webhook")
    new = {"trigger": "webhook", "pathspecs": (("site",),), "ref": "refs/heads/next", "before_sha": None}
    docs = installation.forge.push_files({"docs/page": "1"}, branch="next")
    assert installation.execute(docs, **new).status == "skipped"
    page = installation.forge.push_files({"site/page": "2"}, branch="next")
    assert installation.execute(page, **new).status == "success"


def test_a_force_push_is_compared_with_the_serving_commit(installation: Installation) -> None:
    first = installation.forge.push_files({"site/page": "1"})
    second = installation.forge.push_files({"site/page": "2"})
    installation.execute(second, trigger="webhook")
    installation.forge.git("reset", "--quiet", "--hard", first)
    installation.forge.commit({"docs/page": "1"})
    rewound = installation.forge.push(force=True)
    done = installation.execute(rewound, trigger="webhook", pathspecs=(("site",),), before_sha=second)
    assert done.status == "success"
    superseded = installation.forge.push_files({"site/page": "3"})  # before it was deployed
    installation.forge.git("reset", "--quiet", "--hard", rewound)
    installation.forge.git("commit", "--quiet", "--amend", "--message=Reworded")
    reworded = installation.forge.push(force=True)
    done = installation.execute(reworded, trigger="webhook", pathspecs=(("site",),), before_sha=superseded)
    assert done.status == "skipped"


def test_a_plugin_that_raises_before_the_activation_changed_nothing(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}))
    before = installation.current
    done = installation.execute(installation.forge.push_files({"before": "raise"}))
    assert done.status == "failed"
    line = DEPLOYER[: DEPLOYER.index("raise RuntimeError")].count("\n") + 1
    place = f"static.py, line {line}); nothing was activated"
    assert (done.error_message or "").startswith("RuntimeError: the plugin broke with *** (/")
    assert (done.error_message or "").endswith(place)
    assert installation.current == before


@pytest.mark.parametrize("file", ["after", "health"])
def test_a_plugin_that_raises_after_the_activation_is_rolled_back(
    installation: Installation, file: str
) -> None:
    old = installation.forge.push_files({"site/page": "1"})
    installation.execute(old)
    before = installation.current
    done = installation.execute(installation.forge.push_files({file: "raise"}))
    assert done.status == "rolled_back"
    assert "RuntimeError" in (done.error_message or "")
    assert (installation.serving, installation.current) == (old, before)


def test_what_is_rolled_back_from_is_the_release_before(installation: Installation) -> None:
    old = installation.execute(installation.forge.push_files({"site/page": "1"}))
    new = installation.execute(installation.forge.push_files({"after": "raise"}))
    back = installation.execute(kind="rollback", release=old.release)
    notes = [chunk.text for each in (old, new, back) for chunk in installation.store.log(each.id)]
    said = [line for line in "".join(notes).splitlines() if " after " in line]
    assert said == [
        f"{old.release} after None",
        f"{new.release} after {old.release}",
        f"{old.release} after {new.release}",
        f"{old.release} after {old.release}",
    ]


def test_a_refused_restart_restores_the_link_and_runs_nothing_more(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}))
    before = installation.current
    done = installation.execute(installation.forge.push_files({"after": "refuse"}))
    assert done.status == "failed"
    assert done.error_message == (
        "no restart for you. The previous process is still running, and activation was undone"
    )
    assert installation.steps(done)[-1] == ("restart", "success")
    assert installation.current == before


def test_a_refused_restart_restores_the_link_even_if_the_serving_release_was_unknown(
    installation: Installation,
) -> None:
    failed = installation.execute(
        installation.forge.push_files({"unhealthy": ""})
    )  # the first: nothing to roll back to
    assert (failed.status, installation.serving, installation.current) == ("failed", None, failed.release)
    installation.execute(installation.forge.push_files({"after": "refuse"}))
    assert installation.current == failed.release


def test_a_deployment_that_never_activates_fails_and_names_the_rule(installation: Installation) -> None:
    old = installation.forge.push_files({"site/page": "1"})
    installation.execute(old)
    before = installation.current
    done = installation.execute(installation.forge.push_files({"forget": ""}))
    assert (done.status, done.error_message) == (
        "failed",
        "deploy returned without run.activate(): call it before the first command that may change what runs; "
        "nothing was activated",
    )
    assert (installation.serving, installation.current) == (old, before)


def test_a_step_of_a_deployer_is_never_taken_for_one_of_the_engine(installation: Installation) -> None:
    done = installation.execute(installation.forge.push_files({"verify": ""}))
    assert (done.status, [name for name, _ in installation.steps(done)]) == ("failed", ["fetch"])
    assert "'verify' is a step of the engine" in (done.error_message or "")


def test_without_app_path_activation_is_the_event_alone(unlinked: Installation) -> None:
    commit = unlinked.forge.push_files({"site/page": "1"})
    done = unlinked.execute(commit)
    assert (done.status, unlinked.serving) == ("success", commit)
    assert ("activate", "success") in unlinked.steps(done)
    root = unlinked.folder / ".fraisier/releases/site/production"
    assert {entry.name for entry in root.iterdir()} == {done.release, f".commit-{done.release}"}


@pytest.mark.parametrize("file", ["after", "health"])
def test_without_app_path_a_failure_after_a_change_rolls_back(unlinked: Installation, file: str) -> None:
    old = unlinked.forge.push_files({"site/page": "1"})
    unlinked.execute(old)
    done = unlinked.execute(unlinked.forge.push_files({file: "raise"}))
    assert (done.status, unlinked.serving) == ("rolled_back", old)
    assert (unlinked.folder / "running").read_text() == old


def test_a_refused_restart_without_app_path_rolls_nothing_back(unlinked: Installation) -> None:
    old = unlinked.forge.push_files({"site/page": "1"})
    unlinked.execute(old)
    done = unlinked.execute(unlinked.forge.push_files({"after": "refuse"}))
    assert (done.status, done.rollback_started, unlinked.serving) == ("failed", False, old)


def test_a_failure_in_place_rolls_back_and_activate_changes_nothing_there(installation: Installation) -> None:
    old = installation.forge.push_files({"site/page": "1"})
    clone = installation.folder / "app"
    subprocess.run(["git", "clone", "--quiet", installation.forge.url, clone], check=True)
    done = installation.execute(installation.forge.push_files({"before": "raise"}))
    assert (done.status, installation.serving) == ("rolled_back", old)
    steps = ["fetch", "checkout", "checkout", "migrate", "restart", "verify"]
    assert [name for name, _ in installation.steps(done)] == steps
    assert not (clone / "before").exists()


def test_deploying_what_is_checked_out_already_is_an_activation_too(installation: Installation) -> None:
    commit = installation.forge.push_files({"after": "raise"})
    clone = installation.folder / "app"
    subprocess.run(["git", "clone", "--quiet", installation.forge.url, clone], check=True)
    done = installation.execute(commit)
    assert (done.status, done.activation_started) == ("failed", True)
    assert "Rollback to" in (done.error_message or "")


def test_the_first_deployment_in_place_rolls_back_to_what_was_checked_out(installation: Installation) -> None:
    before = installation.forge.push_files({"site/page": "1"})
    clone = installation.folder / "app"
    subprocess.run(["git", "clone", "--quiet", installation.forge.url, clone], check=True)
    done = installation.execute(installation.forge.push_files({"unhealthy": ""}))
    assert (done.status, installation.serving) == ("rolled_back", before)
    assert not (clone / "unhealthy").exists()


@pytest.fixture
def clone(installation: Installation) -> Path:
    """The clone in which the environment is deployed in place, at a healthy commit."""
    installation.forge.push_files({"site/page": "1", "lock": "1"})
    folder = installation.folder / "app"
    subprocess.run(["git", "clone", "--quiet", installation.forge.url, folder], check=True)
    return folder


@pytest.mark.parametrize("change", ["echo built >> lock", "rm lock", "rm lock; mkdir lock; echo 1 > lock/1"])
def test_what_a_deployment_changes_in_place_hinders_neither_it_nor_the_next(
    installation: Installation, clone: Path, change: str
) -> None:
    first = installation.forge.push_files({"change": change})
    assert installation.execute(first).status == "success"
    done = installation.execute(installation.forge.push_files({"lock": "2", "unhealthy": ""}))
    assert (done.status, installation.serving) == ("rolled_back", first)
    assert not (clone / "unhealthy").exists()
    kept = f"refs/fraisier/kept/{done.id}"
    assert f"`git -C {clone} restore --source={kept} -- lock" in (done.error_message or "")
    back = installation.execute(first, kind="rollback", release=first, ref=None)
    assert back.status == "success"
    told = "".join(chunk.text for chunk in installation.store.log(back.id))
    assert "-- lock` brings back what was replaced" in told
    assert (
        installation.execute(installation.forge.push_files({"unhealthy": "", "x": ""})).status
        == "rolled_back"
    )


def test_what_others_change_in_place_refuses_a_deployment_and_no_rollback(
    installation: Installation, clone: Path
) -> None:
    first = installation.execute(installation.forge.push_files({"change": "echo built > lock"}))
    second = installation.execute(installation.forge.push_files({"site/page": "2"}))
    (clone / "lock").write_text("edited")
    refused = installation.execute(installation.forge.push_files({"site/page": "3"}))
    assert (refused.status, refused.activation_started) == ("failed", False)
    assert f"{clone} has changes that deploying would lose (lock)" in (refused.error_message or "")
    assert (clone / "site/page").read_text() == "2"
    back = installation.execute(first.commit_sha, kind="rollback", release=first.release, ref=None)
    assert (back.status, installation.serving) == ("success", first.commit_sha)
    kept = subprocess.check_output(["git", "-C", clone, "show", f"refs/fraisier/kept/{back.id}:lock"])
    assert kept == b"edited"
    assert second.status == "success"


def test_a_rollback_in_place_that_fails_says_what_it_has_kept(
    installation: Installation, clone: Path
) -> None:
    installation.execute(installation.forge.push_files({"site/page": "2"}))
    bad = {"change": "echo built > lock; touch .git/index.lock", "lock": "2", "unhealthy": ""}
    done = installation.execute(installation.forge.push_files(bad))
    assert done.status == "failed"
    assert "index.lock" in (done.error_message or "")
    assert f"`git -C {clone} restore --source=refs/fraisier/kept/{done.id} -- lock" in (
        done.error_message or ""
    )


def test_a_rollback_that_also_fails_leaves_the_serving_release_unknown(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}))
    for unhealthy in (installation.folder / ".fraisier/releases/site/production").iterdir():
        if unhealthy.is_dir():
            (unhealthy / "unhealthy").touch()
    done = installation.execute(installation.forge.push_files({"unhealthy": ""}))
    assert done.status == "failed"
    assert "also failed" in (done.error_message or "")
    assert installation.serving is None


def test_with_an_unknown_serving_release_the_last_healthy_one_is_restored(
    installation: Installation,
) -> None:
    healthy = installation.forge.push_files({"site/page": "1"})
    installation.execute(healthy)
    (unhealthy,) = (installation.folder / ".fraisier/releases/site/production").glob("2*")
    (unhealthy / "unhealthy").touch()
    bad = installation.forge.push_files({"unhealthy": ""})
    failed = installation.execute(bad)
    assert (failed.status, installation.serving) == ("failed", None)
    (unhealthy / "unhealthy").unlink()
    done = installation.execute(bad)
    assert (done.status, installation.serving) == ("rolled_back", healthy)


def test_a_store_that_cannot_be_written_undoes_nothing(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}))
    installation.database.execute("PRAGMA busy_timeout = 50")
    lease = installation.claim(installation.forge.push_files({"health": "lock"}))
    with pytest.raises(StoreError, match="It is locked by another process"):
        execute(installation.execution(lease))
    deployment = installation.deployment(lease)
    assert (deployment.status, installation.current) == ("running", deployment.release)
    assert not deployment.rollback_started


def test_a_success_that_cannot_be_recorded_leaves_the_serving_release_as_it_was(
    installation: Installation,
) -> None:
    old = installation.forge.push_files({"site/page": "1"})
    installation.execute(old)
    refuse = "WHEN NEW.event = 'success' BEGIN SELECT RAISE(ABORT, 'no success today'); END"
    installation.database.execute(f"CREATE TRIGGER no_success BEFORE INSERT ON tb_deployment_events {refuse}")
    lease = installation.claim(installation.forge.push_files({"site/page": "2"}))
    with pytest.raises(StoreError, match="no success today"):
        execute(installation.execution(lease))
    assert installation.serving == old


def test_no_message_holds_a_secret(installation: Installation) -> None:
    done = installation.execute(installation.forge.push_files({"health": "tell"}))
    assert done.status == "success"
    rows = installation.database.all("SELECT message FROM tb_deployment_events WHERE message IS NOT NULL")
    assert [row["message"] for row in rows] == ["asked with ***"]


def test_a_commit_on_another_branch_makes_nothing_stale(installation: Installation) -> None:
    older = installation.forge.push_files({"site/page": "1"})
    installation.execute(
        installation.forge.push_files({"site/page": "2"}), trigger="webhook", ref="refs/heads/main"
    )
    assert installation.execute(older, trigger="webhook", ref="refs/heads/release").status == "success"


def test_a_rollback_leaves_as_many_releases_as_are_to_be_kept(installation: Installation) -> None:
    done = [
        installation.execute(installation.forge.push_files({"site/page": str(number)})) for number in range(2)
    ]
    installation.execute(done[0].commit_sha, kind="rollback", release=done[0].release, ref=None)
    root = installation.folder / ".fraisier/releases/site/production"
    assert {entry.name for entry in root.glob("2*")} == {each.release for each in done}


def test_a_rollback_goes_to_the_release_it_names(installation: Installation) -> None:
    first = installation.execute(installation.forge.push_files({"site/page": "1"}))
    installation.execute(installation.forge.push_files({"site/page": "2"}))
    back = installation.execute(first.commit_sha, kind="rollback", release=first.release, ref=None)
    assert back.status == "success"
    assert installation.current == first.release


def test_a_rollback_to_a_release_that_is_gone_says_so(installation: Installation) -> None:
    commit = installation.forge.push_files({"site/page": "1"})
    installation.execute(commit)
    back = installation.execute(commit, kind="rollback", release="20260101-000000-gone", ref=None)
    assert back.status == "failed"
    assert "release 20260101-000000-gone is gone: it was pruned" in (back.error_message or "")
    assert installation.serving == commit


def test_old_releases_go_and_the_one_before_stays(installation: Installation) -> None:
    done = [
        installation.execute(installation.forge.push_files({"site/page": str(number)})) for number in range(4)
    ]
    root = installation.folder / ".fraisier/releases/site/production"
    left = {entry.name for entry in root.iterdir() if not entry.name.startswith(".")}
    assert left == {done[2].release, done[3].release}


def test_what_lies_at_app_path_and_is_not_ours_is_refused_before_anything(installation: Installation) -> None:
    (installation.folder / "app").mkdir()
    with pytest.raises(AppPathRefusedError, match="is a directory"):
        installation.execution(installation.claim(installation.forge.push_files({"site/page": "1"})))


def test_a_cancellation_before_the_activation_ends_it(installation: Installation) -> None:
    lease = installation.claim(installation.forge.push_files({"site/page": "1"}))
    installation.stop.cancel(CancelledError("cancelled by ada"))
    execute(installation.execution(lease))
    done = installation.deployment(lease)
    assert (done.status, done.error_message) == ("cancelled", "cancelled by ada; nothing was activated")


def test_a_worker_that_is_gone_leaves_the_decision_to_recovery(installation: Installation) -> None:
    lease = installation.claim(installation.forge.push_files({"site/page": "1"}))
    installation.stop.cancel(InterruptedRunError("the worker is gone"))
    with pytest.raises(InterruptedRunError):
        execute(installation.execution(lease))
    assert installation.deployment(lease).status == "running"
    assert recover_unactivated(installation.store, lease, installation.deployment(lease))
    done = installation.deployment(lease)
    assert (done.status, done.error_message) == (
        "interrupted",
        "the deployment process ended during step fetch; nothing was activated; "
        "waits for a decision: a user requested it",
    )


def test_whoever_lost_the_lease_does_not_touch_the_link(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}))
    before = installation.current
    lease = installation.claim(installation.forge.push_files({"site/page": "2"}))
    execution = installation.execution(lease)
    (held,) = installation.store.leases()
    installation.store.take_over(held, ME)
    with pytest.raises(FencedError):
        execute(execution)
    assert installation.current == before


def recovered(installation: Installation, lease: Lease) -> Deployment:
    (held,) = installation.store.leases()
    taken = installation.store.take_over(held, ME)
    assert taken is not None
    recover(installation.execution(taken))
    return installation.deployment(lease)


def test_a_recovery_that_fails_ends_and_is_not_tried_again(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"site/page": "1"}))
    previous = installation.current
    lease = installation.claim(installation.forge.push_files({"site/page": "2"}))
    installation.store.append(lease, Event("step_started", step="activate", step_number=1))
    installation.store.append(lease, Event("activation_started", previous_release=previous))
    execution = installation.execution(lease)
    (installation.folder / "app").unlink()
    (installation.folder / "app").mkdir()
    recover(execution)
    done = installation.deployment(lease)
    assert (done.status, installation.serving) == ("failed", None)
    assert "and recovery failed" in (done.error_message or "")


def test_recovery_does_not_take_half_a_deployment_for_a_whole_one(installation: Installation) -> None:
    first = installation.execute(installation.forge.push_files({"site/page": "1"}))
    second = installation.execute(installation.forge.push_files({"site/page": "2"}))
    lease = installation.claim(first.commit_sha)
    created = Event("release_chosen", release=first.release, previous_release=second.release)
    for number, step in enumerate(("activate", "restart"), start=1):  # and `deploy` had more to do
        installation.store.append(lease, Event("step_started", step=step, step_number=number))
        done = Event("step_finished", step=step, step_number=number, step_status="success")
        installation.store.append(lease, created, Event("activation_started"), done)
    assert (recovered(installation, lease).status, installation.serving) == ("rolled_back", second.commit_sha)


def test_recovery_of_a_rollback_that_was_under_way_goes_on_with_it(installation: Installation) -> None:
    first = installation.execute(installation.forge.push_files({"site/page": "1"}))
    lease = installation.claim(commit := installation.forge.push_files({"site/page": "2"}))
    created = Event(
        "release_chosen",
        release="20260101-000000-half",
        commit_sha=commit,
        previous_release=first.release,
        previous_commit_sha=first.commit_sha,
    )
    started = Event("step_started", step="restart", step_number=1)
    rollback = Event("rollback_started", release=first.release, message="unhealthy")
    installation.store.append(lease, created, Event("activation_started"), started, rollback)
    done = recovered(installation, lease)
    assert (done.status, installation.current) == ("rolled_back", first.release)
    assert done.error_message == f"unhealthy; release {first.release} serves again"


@pytest.mark.parametrize("step", ["migrate", "verify"])
def test_recovery_in_place_replaces_what_a_step_has_changed_and_says_so(
    installation: Installation, clone: Path, step: str
) -> None:
    first = installation.execute(installation.forge.push_files({"site/page": "2"}))
    lease = installation.claim(commit := installation.forge.push_files({"lock": "2", "unhealthy": ""}))
    execution = installation.execution(lease)
    execution.context.mirror.fetch()
    created = Event(
        "release_chosen",
        release=commit,
        commit_sha=commit,
        previous_release=first.release,
        previous_commit_sha=first.commit_sha,
    )
    execution.recorder.append(created)
    release = execution.existing(commit)
    assert release is not None
    with execution.recorder.step("checkout"):
        execution.activate(release)
    (clone / "lock").write_text("half")
    installation.store.append(lease, Event("step_started", step=step, step_number=2))
    done = recovered(installation, lease)
    assert (done.status, installation.serving) == ("rolled_back", first.commit_sha)
    assert (clone / "lock").read_text() == "1"
    kept = f"refs/fraisier/kept/{done.id}"
    assert f"{kept} -- lock`" in (done.error_message or "")
    assert subprocess.check_output(["git", "-C", clone, "show", f"{kept}:lock"]) == b"half"


def test_a_check_out_that_recovery_undoes_says_what_it_has_replaced(
    installation: Installation, clone: Path
) -> None:
    installation.execute(installation.forge.push_files({"site/page": "2"}))
    previous = subprocess.check_output(["git", "-C", clone, "rev-parse", "HEAD"], text=True).strip()
    lease = installation.claim(installation.forge.push_files({"lock": "2"}))
    installation.store.append(lease, Event("step_started", step="checkout", step_number=1))
    installation.store.append(lease, Event("activation_started", previous_release=previous))
    (clone / "lock").write_text("by the service")
    done = recovered(installation, lease)
    assert (done.status, (clone / "lock").read_text()) == ("interrupted", "1")
    assert f"restore --source=refs/fraisier/kept/{done.id} -- lock`" in (done.error_message or "")
