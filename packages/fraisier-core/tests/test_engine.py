import os
import subprocess
from pathlib import Path

import pytest
from fraisier_core.config import parse_config
from fraisier_core.configured import configure_store
from fraisier_core.engine.engine import Engine
from fraisier_core.engine.recorder import Recorder
from fraisier_core.engine.recovery import recover, settle_unactivated
from fraisier_core.engine.redaction import Redactor
from fraisier_core.engine.site import open_site
from fraisier_core.engine.stop import Stop
from fraisier_core.errors import (
    AppPathRefusedError,
    CancelledError,
    FencedError,
    InterruptedRunError,
    StoreError,
)
from fraisier_core.store import Database, Deployment, Deployments, Event, History, Lease, Request
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.forge import Forge
from fraisier_core.testing.packages import PackageFolder

pytest_plugins = ["fraisier_core.testing.forge"]

ME = ProcessIdentity.of(os.getpid())
DEPLOYER = """
import sqlite3

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
    if order == "refuse":
        raise ActivationRefusedError("no restart for you")

@hookimpl
def deploy(run):
    obey(run, "before")
    run.activate()
    with run.step("restart"):
        run.note(run.release.name)
    obey(run, "after")

@hookimpl
def health_check(run):
    obey(run, "health")
    told = " with hunter2hunter2" if (run.release.path / "health").exists() else ""
    return Health(not (run.release.path / "unwell").exists(), f"asked{told}")
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
        keep_releases: 2
branch_mapping:
  main: {{fraise: site, environment: production, paths: [site]}}
"""


class Place:
    """One environment, whose deployments are carried out in this process."""

    def __init__(self, folder: Path, forge: Forge, packages: PackageFolder) -> None:
        packages.deployer("static", DEPLOYER)
        self.folder, self.forge, self.plugins = folder, forge, packages.plugins()
        text = CONFIGURATION.format(repository=forge.url, folder=folder)
        self.config = parse_config(text, folder / "fraises.yaml", self.plugins)
        self.database = Database.open(self.config.database)
        self.deployments = Deployments(self.database)
        configure_store(self.deployments, self.config)
        self.stop = Stop()

    def claim(self, commit: str | None = None, **changes: object) -> Lease:
        values = {"kind": "deploy", "trigger": "manual", "requested_by": "ada", "branch": "main"} | changes
        self.deployments.request(Request("site", "production", commit_sha=commit, **values))  # type: ignore[arg-type]
        lease = self.deployments.claim_next(ME)
        assert lease is not None
        return lease

    def engine(self, lease: Lease) -> Engine:
        site = open_site(self.config, self.plugins, "site", "production", self.stop)
        recorder = Recorder(self.deployments, lease, Redactor({"hunter2hunter2"}))
        return Engine(site, self.deployments, lease, recorder, self.stop)

    def carry_out(self, commit: str | None = None, **changes: object) -> Deployment:
        lease = self.claim(commit, **changes)
        self.engine(lease).carry_out()
        return self.deployments.get(lease.deployment_id)

    def steps(self, deployment: Deployment) -> list[tuple[str, str]]:
        return [(step.name, step.status) for step in History(self.database).steps(deployment.id)]

    @property
    def serving(self) -> str | None:
        serving = self.deployments.serving("site", "production")
        return serving.commit_sha if serving else None

    @property
    def current(self) -> str:
        return (self.folder / "app").resolve(strict=True).name


@pytest.fixture
def place(tmp_path: Path, forge: Forge, site: PackageFolder) -> Place:
    return Place(tmp_path, forge, site)


def test_a_deployment_takes_its_own_commit_and_not_the_newest(place: Place) -> None:
    wanted = place.forge.push_files({"site/page": "1"})
    place.forge.push_files({"site/page": "2"})
    done = place.carry_out(wanted)
    assert (done.status, done.commit_sha) == ("success", wanted)
    assert place.serving == wanted
    assert place.steps(done) == [(name, "success") for name in ("fetch", "activate", "restart", "verify")]
    assert (place.folder / "app/site/page").read_text() == "1"


def test_without_a_commit_it_takes_the_newest_of_the_branch(place: Place) -> None:
    place.forge.push_files({"site/page": "1"})
    newest = place.forge.push_files({"site/page": "2"})
    assert place.carry_out().commit_sha == newest


def test_the_beginning_of_a_commit_is_completed(place: Place) -> None:
    commit = place.forge.push_files({"site/page": "1"})
    assert place.carry_out(commit[:10]).commit_sha == commit


def test_a_push_that_touched_none_of_the_paths_is_skipped(place: Place) -> None:
    served = place.forge.push_files({"site/page": "1"})
    place.carry_out(served, trigger="webhook")
    elsewhere = place.forge.push_files({"docs/page": "1"})
    done = place.carry_out(elsewhere, trigger="webhook")
    assert done.status == "skipped"
    assert place.serving == served
    by_hand = place.carry_out(elsewhere)
    assert by_hand.status == "success"


def test_what_changed_is_told_from_what_serves_and_not_from_the_push_before(place: Place) -> None:
    place.carry_out(place.forge.push_files({"site/page": "1"}), trigger="webhook")
    place.forge.push_files({"site/page": "2"})  # superseded by the next one
    done = place.carry_out(place.forge.push_files({"docs/page": "1"}), trigger="webhook")
    assert done.status == "success"


def test_a_plugin_that_raises_before_the_activation_changed_nothing(place: Place) -> None:
    place.carry_out(place.forge.push_files({"site/page": "1"}))
    before = place.current
    done = place.carry_out(place.forge.push_files({"before": "raise"}))
    assert done.status == "failed"
    assert done.error_message == "RuntimeError: the plugin broke with ***. Nothing was activated"
    assert place.current == before


@pytest.mark.parametrize("file", ["after", "health"])
def test_a_plugin_that_raises_after_the_activation_is_rolled_back(place: Place, file: str) -> None:
    old = place.forge.push_files({"site/page": "1"})
    place.carry_out(old)
    before = place.current
    done = place.carry_out(place.forge.push_files({file: "raise"}))
    assert done.status == "rolled_back"
    assert "RuntimeError" in (done.error_message or "")
    assert (place.serving, place.current) == (old, before)


def test_a_refused_restart_puts_the_link_back_and_runs_nothing_more(place: Place) -> None:
    place.carry_out(place.forge.push_files({"site/page": "1"}))
    before = place.current
    done = place.carry_out(place.forge.push_files({"after": "refuse"}))
    assert done.status == "failed"
    assert done.error_message == (
        "no restart for you. The old process still runs, and app_path leads to its release again"
    )
    assert place.steps(done)[-1] == ("restart", "success")
    assert place.current == before


def test_a_refused_restart_puts_the_link_back_even_where_it_was_unknown_what_serves(place: Place) -> None:
    failed = place.carry_out(place.forge.push_files({"unwell": ""}))  # the first: nothing to go back to
    assert (failed.status, place.serving, place.current) == ("failed", None, failed.release)
    place.carry_out(place.forge.push_files({"after": "refuse"}))
    assert place.current == failed.release


def test_the_first_deployment_in_place_goes_back_to_what_was_checked_out(place: Place) -> None:
    before = place.forge.push_files({"site/page": "1"})
    clone = place.folder / "app"
    subprocess.run(["git", "clone", "--quiet", place.forge.url, clone], check=True)
    done = place.carry_out(place.forge.push_files({"unwell": ""}))
    assert (done.status, place.serving) == ("rolled_back", before)
    assert not (clone / "unwell").exists()


def test_going_back_where_that_fails_too_leaves_what_serves_unknown(place: Place) -> None:
    place.carry_out(place.forge.push_files({"site/page": "1"}))
    for unwell in (place.folder / ".fraisier/releases/site/production").iterdir():
        if unwell.is_dir():
            (unwell / "unwell").touch()
    done = place.carry_out(place.forge.push_files({"unwell": ""}))
    assert done.status == "failed"
    assert "failed too" in (done.error_message or "")
    assert place.serving is None


def test_where_it_is_unknown_what_serves_it_goes_back_to_what_was_healthy(place: Place) -> None:
    healthy = place.forge.push_files({"site/page": "1"})
    place.carry_out(healthy)
    (unwell,) = (place.folder / ".fraisier/releases/site/production").glob("2*")
    (unwell / "unwell").touch()
    bad = place.forge.push_files({"unwell": ""})
    failed = place.carry_out(bad)
    assert (failed.status, place.serving) == ("failed", None)
    (unwell / "unwell").unlink()
    done = place.carry_out(bad)
    assert (done.status, place.serving) == ("rolled_back", healthy)


def test_a_store_that_cannot_be_written_undoes_nothing(place: Place) -> None:
    place.carry_out(place.forge.push_files({"site/page": "1"}))
    place.database.execute("PRAGMA busy_timeout = 50")
    lease = place.claim(place.forge.push_files({"health": "lock"}))
    with pytest.raises(StoreError, match="Another process holds it"):
        place.engine(lease).carry_out()
    deployment = place.deployments.get(lease.deployment_id)
    assert (deployment.status, place.current) == ("running", deployment.release)
    assert not deployment.rollback_started


def test_no_message_holds_a_secret(place: Place) -> None:
    done = place.carry_out(place.forge.push_files({"health": "tell"}))
    assert done.status == "success"
    rows = place.database.all("SELECT message FROM tb_deployment_events WHERE message IS NOT NULL")
    assert [row["message"] for row in rows] == ["asked with ***"]


def test_a_commit_on_another_branch_makes_nothing_stale(place: Place) -> None:
    older = place.forge.push_files({"site/page": "1"})
    place.carry_out(place.forge.push_files({"site/page": "2"}), trigger="webhook", branch="main")
    assert place.carry_out(older, trigger="webhook", branch="release").status == "success"


def test_a_rollback_leaves_as_many_releases_as_are_to_be_kept(place: Place) -> None:
    done = [place.carry_out(place.forge.push_files({"site/page": str(number)})) for number in range(2)]
    place.carry_out(done[0].commit_sha, kind="rollback", release=done[0].release, branch=None)
    root = place.folder / ".fraisier/releases/site/production"
    assert {entry.name for entry in root.glob("2*")} == {each.release for each in done}


def test_a_rollback_goes_to_the_release_it_names(place: Place) -> None:
    first = place.carry_out(place.forge.push_files({"site/page": "1"}))
    place.carry_out(place.forge.push_files({"site/page": "2"}))
    back = place.carry_out(first.commit_sha, kind="rollback", release=first.release, branch=None)
    assert back.status == "success"
    assert place.current == first.release


def test_a_rollback_to_a_release_that_is_gone_says_so(place: Place) -> None:
    commit = place.forge.push_files({"site/page": "1"})
    place.carry_out(commit)
    back = place.carry_out(commit, kind="rollback", release="20260101-000000-gone", branch=None)
    assert back.status == "failed"
    assert "release 20260101-000000-gone is gone: it was pruned" in (back.error_message or "")
    assert place.serving == commit


def test_old_releases_go_and_the_one_before_stays(place: Place) -> None:
    done = [place.carry_out(place.forge.push_files({"site/page": str(number)})) for number in range(4)]
    root = place.folder / ".fraisier/releases/site/production"
    left = {entry.name for entry in root.iterdir() if not entry.name.startswith(".")}
    assert left == {done[2].release, done[3].release}


def test_what_lies_at_app_path_and_is_not_ours_is_refused_before_anything(place: Place) -> None:
    (place.folder / "app").mkdir()
    with pytest.raises(AppPathRefusedError, match="is a directory"):
        place.engine(place.claim(place.forge.push_files({"site/page": "1"})))


def test_a_cancellation_before_the_activation_ends_it(place: Place) -> None:
    lease = place.claim(place.forge.push_files({"site/page": "1"}))
    place.stop.set(CancelledError("cancelled by ada"))
    place.engine(lease).carry_out()
    done = place.deployments.get(lease.deployment_id)
    assert (done.status, done.error_message) == ("cancelled", "cancelled by ada. Nothing was activated")


def test_a_worker_that_went_away_leaves_the_decision_to_recovery(place: Place) -> None:
    lease = place.claim(place.forge.push_files({"site/page": "1"}))
    place.stop.set(InterruptedRunError("the worker went away"))
    with pytest.raises(InterruptedRunError):
        place.engine(lease).carry_out()
    assert place.deployments.get(lease.deployment_id).status == "running"
    assert settle_unactivated(place.deployments, lease)
    done = place.deployments.get(lease.deployment_id)
    assert (done.status, done.error_message) == (
        "interrupted", "its process ended after step fetch. Nothing was activated"
    )  # fmt: skip


def test_whoever_lost_the_lease_does_not_touch_the_link(place: Place) -> None:
    place.carry_out(place.forge.push_files({"site/page": "1"}))
    before = place.current
    lease = place.claim(place.forge.push_files({"site/page": "2"}))
    engine = place.engine(lease)
    (held,) = place.deployments.leases.held()
    place.deployments.take_over(held, ME)
    with pytest.raises(FencedError):
        engine.carry_out()
    assert place.current == before


def recovered(place: Place, lease: Lease) -> Deployment:
    (held,) = place.deployments.leases.held()
    taken = place.deployments.take_over(held, ME)
    assert taken is not None
    recover(place.engine(taken), place.deployments, taken)
    return place.deployments.get(lease.deployment_id)


def test_a_recovery_that_fails_ends_and_is_not_tried_again(place: Place) -> None:
    place.carry_out(place.forge.push_files({"site/page": "1"}))
    led_to = place.current
    lease = place.claim(place.forge.push_files({"site/page": "2"}))
    place.deployments.append(lease, Event("step_started", step="activate", step_number=1))
    place.deployments.append(lease, Event("activation_started", previous_release=led_to))
    engine = place.engine(lease)
    (place.folder / "app").unlink()
    (place.folder / "app").mkdir()
    recover(engine, place.deployments, lease)
    done = place.deployments.get(lease.deployment_id)
    assert (done.status, place.serving) == ("failed", None)
    assert "recovering from that failed" in (done.error_message or "")


def test_recovery_does_not_take_half_a_deployment_for_a_whole_one(place: Place) -> None:
    first = place.carry_out(place.forge.push_files({"site/page": "1"}))
    second = place.carry_out(place.forge.push_files({"site/page": "2"}))
    lease = place.claim(first.commit_sha)
    created = Event("release_created", release=first.release, previous_release=second.release)
    for number, step in enumerate(("activate", "restart"), start=1):  # and `deploy` had more to do
        place.deployments.append(lease, Event("step_started", step=step, step_number=number))
        done = Event("step_finished", step=step, step_number=number, step_status="success")
        place.deployments.append(lease, created, Event("activation_started"), done)
    assert (recovered(place, lease).status, place.serving) == ("rolled_back", second.commit_sha)


def test_recovery_of_a_rollback_that_was_under_way_goes_on_with_it(place: Place) -> None:
    first = place.carry_out(place.forge.push_files({"site/page": "1"}))
    lease = place.claim(commit := place.forge.push_files({"site/page": "2"}))
    created = Event(
        "release_created",
        release="20260101-000000-half",
        commit_sha=commit,
        previous_release=first.release,
        previous_commit_sha=first.commit_sha,
    )
    started = Event("step_started", step="restart", step_number=1)
    rollback = Event("rollback_started", release=first.release, message="unwell")
    place.deployments.append(lease, created, Event("activation_started"), started, rollback)
    done = recovered(place, lease)
    assert (done.status, place.current) == ("rolled_back", first.release)
    assert done.error_message == f"unwell. Release {first.release} serves again"
