from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import both_databases
from tests.waiting import wait_until

from .installation import HEALTHY, Installation
from .test_live import on_a_terminal

TYPE = Path(__file__).parents[4] / "tests/toy_backup.py"
FRAISE = """
  my_db:
    type: copied
    environments:
      production: {{source: {source}, target: {target}{more}}}
"""
TEXT = "worth keeping"
LEFT = "vault is not pruned: it is read-only"


def backed_up(installation: Installation, more: str = "", before: str = "") -> Path:
    """Configure backups of a file, and return the folder in which they are stored."""
    source, target = installation.folder / "source", installation.folder / "target"
    source.write_text(TEXT)
    target.mkdir(exist_ok=True)
    installation.packages.deployer("copied", TYPE.read_text())
    text = installation.config.read_text() + FRAISE.format(source=source, target=target, more=more)
    if before:
        text = text.replace("        stable_for: 0\n", f"        stable_for: 0\n        {before}\n")
    installation.config.write_text(text)
    return target


@both_databases
def test_a_backup_is_made_and_told_without_a_repository(installation: Installation) -> None:
    target = backed_up(installation)
    module = installation.packages.folder / "acme_copied.py"
    module.write_text(module.read_text().replace("str(copy.parent)))", f"str(copy.parent), {LEFT!r}))"))
    done = installation.run("backup", "my_db", "prod")
    (copy,) = target.iterdir()
    assert (done.returncode, f"{copy.name}, 13 B, at {target}" in done.stdout) == (0, True), done.stderr
    (record,) = installation.json("history")
    stored = (record["stored_name"], record["stored_size"], record["stored_at"])
    assert (record["kind"], *stored) == ("backup", copy.name, 13, str(target))
    page = installation.run("show", record["id"]).stdout
    assert f"{copy.name}, 13 B, at {target}" in page
    assert record["stored_sha256"] in page
    (shown,) = installation.json("status", "my_db", "production")
    assert (shown["backup"]["stored_name"], shown["doubt"], shown["timer"]) == (copy.name, LEFT, None)
    assert LEFT in page
    table = installation.run("status").stdout
    assert f"my_db production: {LEFT}" in table
    row = next(line for line in table.splitlines() if line.startswith("my_db"))
    assert ("success " in row, ", 13 B" in row) == (True, True)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ("deploy", "my_db", "production"),
            'deployed: its type "copied" is for backups alone; run `fraisier backup my_db production`',
        ),
        (("run", "my_db", "production"), 'has no job: its type "copied" is for backups alone'),
        (("backup", "my_api", "production"), 'has no backups: its type "script" is for deployments alone'),
        (("backups", "list", "my_api"), 'my_api production keeps no backups: its type "script" has none'),
        (("hold", "my_db", "--reason", "x"), 'my_db cannot be held: its type "copied" deploys nothing'),
    ],
)
def test_what_a_type_lacks_is_refused(
    installation: Installation, command: tuple[str, ...], said: str
) -> None:
    backed_up(installation)
    done = installation.run(*command)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert installation.run("history", "my_db").stdout == ""


def test_what_only_deployments_use_is_refused(installation: Installation) -> None:
    freeze = '{cron: "* * * * *", duration: 1h, reason: x}'
    backed_up(installation, f", branch: main, backup_before: my_api, freeze: {freeze}")
    rule = "branch_mapping: {main: {fraise: my_db, environment: production}}\n"
    installation.config.write_text(installation.config.read_text() + rule)
    said = installation.run("config", "check").stderr
    assert "production.branch: is of no use here" in said
    assert "production.freeze: is of no use here" in said
    assert "main.fraise: my_db cannot be pushed to" in said
    assert 'production.backup_before: my_api production makes no backups: its type is "script"' in said


@both_databases
def test_a_deployment_waits_for_a_backup_of_its_own(installation: Installation) -> None:
    target = backed_up(installation, ", overlap: skip", before="backup_before: my_db")
    commit = installation.deploy()
    backup, deployment = sorted(installation.recorded(), key=lambda each: each.kind)
    assert (backup.kind, backup.trigger, backup.requested_for) == ("backup", "before_deploy", deployment.id)
    assert (backup.status, deployment.status, len([*target.iterdir()])) == ("success", "success", 1)
    steps = [each["name"] for each in installation.json("show", deployment.id)["steps"]]
    assert steps == ["fetch", "backup_before", "build", "activate", "verify"]
    told = installation.run("rollback", "my_api", "production", "--restore").stdout
    assert f"fraisier backups restore my_db production {backup.stored_name}" in told
    assert f"of {commit[:12]}, success" in told
    assert "everything that was written since" in told
    assert [each.kind for each in installation.recorded()].count("rollback") == 0


def test_a_deployment_whose_backup_fails_changes_nothing(installation: Installation) -> None:
    backed_up(installation, before="backup_before: my_db production")
    (installation.folder / "source").unlink()
    installation.forge.push_files(HEALTHY)
    done = installation.run("deploy", "my_api", "production")
    assert (done.returncode, "nothing was activated" in done.stderr) == (10, True), done.stderr
    assert "of my_db production failed: cp" in done.stderr
    status = installation.run("status").stdout
    assert re.search("my_db production: its last backup failed: cp .*; none is good\n", status), status
    assert installation.run("rollback", "my_api", "production", "--restore").returncode == 4
    assert installation.run("rollback", "my_api", "production", "--restore", "--detach").returncode == 2


def test_the_only_slot_of_a_worker_does_not_keep_a_deployment_from_its_backup(
    installation: Installation,
) -> None:
    backed_up(installation, before="backup_before: my_db")
    installation.forge.push_files(HEALTHY)
    with installation.started("worker", "--slots", "1"):
        deployment = installation.run("deploy", "my_api", "production", "--detach").stdout.strip()
        wait_until(lambda: installation.json("show", deployment)["status"] not in {"pending", "running"})
    assert installation.json("show", deployment)["status"] == "success"


def test_cancelling_a_deployment_cancels_the_backup_that_it_waits_for(installation: Installation) -> None:
    target = backed_up(installation, before="backup_before: my_db")
    module = installation.packages.folder / "acme_copied.py"
    copying = '["cp", "--verbose", run.settings.source, copy]'
    module.write_text(module.read_text().replace(copying, '["sleep", "600"]'))
    installation.forge.push_files(HEALTHY)
    with installation.started("deploy", "my_api", "production") as command:
        wait_until(lambda: [each.status for each in installation.recorded()].count("running") == 2)
        command.press_ctrl_c()
        assert command.end()[0] == 12
    assert [each.status for each in installation.recorded()] == ["cancelled", "cancelled"]
    assert [*target.iterdir()] == []


def test_that_nothing_proves_a_backup_is_told_in_status(installation: Installation) -> None:
    backed_up(installation, ", restore_test: {schedule: '0 3 1 1 *'}")
    installation.run("backup", "my_db", "production")
    (shown,) = installation.json("status", "my_db", "production")
    assert shown["doubt"] == "no restore test has succeeded yet"
    assert shown["restore_test_timer"]["next"] is not None
    done = installation.run("backups", "test", "my_db", "production", "--json")
    assert json.loads(done.stdout)["status"] == "success", done.stderr
    (shown,) = installation.json("status", "my_db", "production")
    assert (shown["doubt"], shown["restore_test"]["status"]) == (None, "success")
    with closing(installation.open()) as store:
        of_schedule = "trigger = 'schedule', requested_at = '2024-12-31T03:00:00.000000Z'"
        store.execute(f"UPDATE tb_deployments SET {of_schedule} WHERE kind = 'restore_test'")
    status = on_a_terminal(installation, "status")
    assert "my_db production: a restore test was due at 20" in status
    assert re.search(r"\x1b\[33msuccess .*, 13 B", status)
    with closing(installation.open()) as store:
        store.execute("UPDATE tb_deployments SET trigger = 'manual' WHERE kind = 'restore_test'")
    (installation.folder / "source").write_text("changed")
    assert installation.run("backups", "test", "my_db", "production").returncode == 10
    (shown,) = installation.json("status", "my_db", "production")
    assert shown["doubt"].startswith("its last restore test failed: cmp")
    assert shown["run"]["status"] == "success"
