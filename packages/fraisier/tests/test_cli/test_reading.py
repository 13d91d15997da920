from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from fraisier.cli.list import provider_to_install
from fraisier_core.store.events import Untold
from fraisier_core.store.records import Request
from fraisier_core.store.relational.migrations import migrations
from fraisier_core.store.sqlite.sqlite_migrations import SQL

from tests.databases import both_databases
from tests.postgres import USUAL, every_postgres
from tests.stores import open_store
from tests.waiting import wait_until

from .installation import HEALTHY, Installation, timeless


@pytest.fixture
def outdated(installation: Installation) -> Installation:
    """An installation whose store lacks the last migration."""
    last = migrations(SQL)[-1]
    open_store(installation.database).close()
    with closing(sqlite3.connect(installation.database, isolation_level=None)) as connection:
        for (view,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
            if f"VIEW {view}" in last.sql:
                connection.execute(f"DROP VIEW {view}")
        connection.execute("DELETE FROM tb_migrations WHERE name = ?", (last.name,))
    return installation


HOSTILE = "\x1b[31mred\x1b]0;title\x07\u202eevil\r\x9b2J"


def test_before_the_first_deployment_everything_reads_as_never_deployed(installation: Installation) -> None:
    assert installation.run("history").stderr == "nothing was ever deployed\n"
    assert installation.json("history") == []
    status = installation.json("status")
    assert [(each["environment"], each["status"], each["pending"]) for each in status] == [
        ("production", None, False),
        ("staging", None, False),
    ]
    assert "never deployed" in installation.run("status", "my_api", "prod").stdout


def test_reading_creates_no_store(installation: Installation) -> None:
    for command in (
        ["list"],
        ["status"],
        ["history"],
        ["show", "abcd"],
        ["cancel", "abcd"],
        ["db", "rebuild"],
    ):
        installation.run(*command)
    assert [path.name for path in installation.folder.iterdir()] == ["fraises.yaml"]
    installation.database.parent.mkdir()
    assert installation.json("history") == []
    assert list(installation.database.parent.iterdir()) == []


def test_list_names_every_environment(installation: Installation) -> None:
    lines = installation.run("list").stdout.splitlines()
    assert lines[0].split() == ["FRAISE", "ENVIRONMENT", "TYPE", "NAME", "BRANCH", "DESCRIPTION"]
    assert lines[1].split() == ["my_api", "production", "script", "api.example.com", "main", "My", "API"]
    assert installation.json("list")[1]["environment"] == "staging"


def test_list_says_which_provider_to_install(installation: Installation) -> None:
    installation.config.write_text(installation.config.read_text().replace("github", "nosuchforge"))
    done = installation.run("list")
    assert done.returncode == 0
    assert "git.provider: nosuchforge is not installed; install the package that offers it" in done.stderr
    assert "my_api" in done.stdout


def test_without_any_provider_an_example_is_offered() -> None:
    offer = provider_to_install(None, [])
    assert offer is not None
    assert "pip install ./packages/fraisier-github, or" in offer
    bitbucket = provider_to_install("bitbucket", ["github"])
    assert bitbucket is not None
    assert bitbucket.endswith("pip install ./packages/fraisier-bitbucket")
    assert provider_to_install(None, ["any"]) is None
    assert provider_to_install("any", ["any"]) is None


def test_list_says_why_a_fraise_cannot_be_deployed(installation: Installation) -> None:
    done = installation.run("list", PYTHONPATH="")
    assert 'no fraise type "script" is installed' in done.stderr
    assert done.returncode == 0


@both_databases
def test_status_tells_the_serving_release_apart_from_how_the_last_deployment_ended(
    installation: Installation,
) -> None:
    commit = installation.deploy()
    installation.forge.push_files({"build.sh": "exit 1\n"})
    installation.run("deploy", "my_api", "production")
    serving, other = installation.json("status")
    assert (serving["status"], serving["serving_commit_sha"]) == ("failed", commit)
    assert other["status"] is None
    said = installation.run("status", "my_api", "prod").stdout
    assert f"serving  {commit[:12]} (release " in said
    assert "last     failed (deploy " in said


@pytest.mark.parametrize("command", [["status"], ["history"], ["logs", "my_api"]])
def test_what_is_wrong_with_keys_of_a_type_is_no_obstacle_to_reading(
    installation: Installation, command: list[str]
) -> None:
    installation.deploy()
    installation.config.write_text(
        installation.config.read_text().replace("name: api", "nosuch: 1\n        name: api")
    )
    assert "production" in installation.run(*command).stdout + installation.run(*command).stderr
    for acting in (["list"], ["config", "check"], ["deploy", "my_api", "production"]):
        done = installation.run(*acting)
        assert (done.returncode, done.stdout) == (3, "")
        assert "nosuch: unknown key" in done.stderr


def test_status_tells_that_one_is_waiting(installation: Installation) -> None:
    installation.run("deploy", "my_api", "staging", "--detach", "--branch", "main")
    assert "one is waiting" in installation.run("status", "my_api", "staging").stdout
    assert installation.json("status", "my_api", "staging")[0]["pending"] is True


@both_databases
def test_status_tells_which_commands_take_a_decision(installation: Installation) -> None:
    installation.deploy()
    commit = installation.forge.push_files({"build.sh": "exit 1\n"})
    installation.run("deploy", "my_api", "production")
    command = f"fraisier deploy my_api production --commit {commit}"
    waits = f"waits for a decision: `{command}`\n"
    assert installation.run("status").stdout.endswith(f"my_api production {waits}")
    assert installation.run("status", "my_api", "prod").stdout.endswith(f"next     {waits}")
    assert [each["commands"] for each in installation.json("status")] == [[command], []]
    assert installation.deploy({"build.sh": "true\n"})
    assert [each["commands"] for each in installation.json("status")] == [[], []]


def pushed(installation: Installation, commit: str, ref: str = "refs/heads/main") -> str:
    """Request what a push of a commit does, and return the deployment's id."""
    with closing(installation.open()) as store:
        request = Request("my_api", "production", "deploy", "webhook", "ada", ref=ref, commit_sha=commit)
        return store.request(request)


def ahead(installation: Installation) -> object:
    found = installation.json("status", "my_api", "production")[0]["ahead"]
    return found and found["commit_sha"]


@both_databases
def test_status_tells_that_a_branch_is_ahead(installation: Installation) -> None:
    first = installation.deploy()
    assert ahead(installation) is None
    second = "2" * 40
    waiting = pushed(installation, second)
    assert ahead(installation) == second
    assert "one is waiting" in installation.run("status").stdout
    installation.run("cancel", waiting)
    assert "main is ahead: `fraisier deploy my_api production`" in installation.run("status").stdout
    said = installation.run("status", "my_api", "prod").stdout
    assert f"ahead    main is at {second[:12]} (push of WHEN: cancelled, {waiting[-8:]})\n" in timeless(said)
    installation.deploy()
    assert ahead(installation) is None
    assert installation.json("rollback", "my_api", "prod")["commit_sha"] == first
    assert ahead(installation) == second  # of pushes only: what a user deployed and took back is no branch
    pushed(installation, first)
    assert ahead(installation) is None


def test_nothing_is_ahead_before_something_serves(installation: Installation) -> None:
    installation.run("db", "migrate")
    installation.run("deploy", "my_api", "production", "--detach")
    pushed(installation, "1" * 40)
    assert ahead(installation) is None


def test_status_tells_that_no_worker_lives(installation: Installation) -> None:
    told = "no worker is running: pushes wait until one is\n"
    assert installation.run("status").stderr == ""  # there is no store yet
    installation.deploy()
    for command in (["status"], ["status", "my_api", "prod"]):
        assert installation.run(*command).stderr == told
    assert installation.json("status")[0]["live_workers"] == 0
    text = installation.config.read_text()
    installation.config.write_text(text[text.index("fraises:") :])
    assert installation.run("status").stderr == ""  # nothing can be pushed, and nothing waits
    installation.run("deploy", "my_api", "staging", "--branch", "main", "--detach")
    assert installation.run("status").stderr == told
    installation.run("cancel", installation.last().id)
    with installation.started("worker") as worker:
        wait_until(lambda: installation.json("status")[0]["live_workers"] == 1)
        assert installation.run("status").stderr == ""
        worker.process.terminate()
        worker.end()


def test_status_tells_which_old_releases_cannot_be_deleted(installation: Installation) -> None:
    installation.deploy()
    releases = installation.database.parent / "releases" / "my_api" / "production"
    (releases / ".trash-old").mkdir()
    (releases / ".kept-old").write_text("Permission denied: /the/file")
    advice = f"as root: `rm -r {releases}/.trash-*`"
    said = f"old releases cannot be deleted (Permission denied: /the/file); {advice}\n"
    assert installation.run("status").stdout.endswith(f"my_api production: {said}")
    assert installation.run("status", "my_api", "prod").stdout.endswith(f"left     {said}")
    kept = {str(releases / ".trash-old"): "Permission denied: /the/file"}
    assert [each["undeletable"] for each in installation.json("status")] == [kept, {}]


@pytest.mark.parametrize("database_name", [f"postgresql-{USUAL}"])
def test_what_is_recorded_on_a_server_is_read_on_a_machine_that_has_deployed_nothing(
    installation: Installation,
) -> None:
    commit = installation.deploy()
    (installation.folder / ".fraisier").rename(installation.folder / "elsewhere")
    (deployment,) = installation.json("history", "my_api")
    assert deployment["commit_sha"] == commit
    assert commit[:12] in installation.run("show", deployment["id"]).stdout
    assert installation.json("status", "my_api", "production")[0]["serving_commit_sha"] == commit
    assert "success" in installation.run("cancel", deployment["id"]).stderr
    assert not (installation.folder / ".fraisier").exists()


@both_databases
def test_history_is_newest_first_and_narrowed_by_name(installation: Installation) -> None:
    commits = [installation.deploy(), installation.deploy()]
    assert [each["commit_sha"] for each in installation.json("history", "my_api", "prod")] == commits[::-1]
    assert installation.json("history", "my_api", "staging") == []
    assert len(installation.json("history", "--limit", "1")) == 1
    row = installation.run("history").stdout.splitlines()[1].split()
    assert row[1:7] == ["deploy", "success", "my_api", "production", commits[1][:12], "main"]


@both_databases
def test_what_left_the_configuration_keeps_its_history(installation: Installation) -> None:
    installation.deploy()
    installation.config.write_text(installation.config.read_text().replace("my_api", "renamed"))
    assert len(installation.json("history", "my_api")) == 1
    assert installation.run("history", "nosuch").returncode == 4
    assert [each["fraise_id"] for each in installation.json("status")] == ["renamed", "renamed"]


@both_databases
def test_show_prints_each_step_with_its_output(installation: Installation) -> None:
    installation.forge.push_files(HEALTHY | {"build.sh": "echo no compiler; exit 3\n"})
    installation.run("deploy", "my_api", "production")
    last = installation.last()
    said = installation.run("show", last.id[-6:]).stdout
    assert said.startswith(f"deployment {last.id}\n  what       deploy of my_api production\n")
    assert "\nbuild: failed, " in said
    assert "\n  no compiler\n" in said
    steps = installation.json("show", last.id)["steps"]
    assert [(each["name"], each["status"]) for each in steps] == [("fetch", "success"), ("build", "failed")]
    assert steps[1]["output"].endswith("no compiler\n")


@both_databases
def test_show_says_what_an_observer_could_not_do(installation: Installation) -> None:
    installation.deploy()
    last = installation.last()
    assert "not told" not in installation.run("show", last.id).stdout
    with closing(installation.open()) as store:
        event = store.events(deployment_id=last.id)[-1]
        store.record_untold(event, Untold("teller", event.event, event.at, "commit status at git.x: 401"))
    said = installation.run("show", last.id).stdout
    assert "\n  not told   teller, success: commit status at git.x: 401\n" in said
    (untold,) = installation.json("show", last.id)["untold"]
    assert untold == {
        "observer": "teller",
        "event": "success",
        "at": event.at,
        "problem": "commit status at git.x: 401",
    }


def test_nothing_from_outside_reaches_the_terminal_as_it_is(installation: Installation) -> None:
    installation.run("deploy", "my_api", "production", "--detach")
    database = open_store(installation.database)
    request = Request("my_api", "production", "deploy", "webhook", HOSTILE, ref=HOSTILE, commit_sha="a" * 40)
    deployment_id = database.request(request)
    database.close()
    for command in (["history"], ["show", deployment_id], ["status"]):
        said = installation.run(*command).stdout
        assert not set(said) & set("\x1b\x07\u202e\r\x9b"), command
    assert "redevil" in installation.run("history").stdout
    assert installation.json("history")[0]["ref"] == HOSTILE


def test_a_misspelt_name_is_told_with_the_nearest_one(installation: Installation) -> None:
    done = installation.run("status", "my_apy")
    assert done.returncode == 4
    assert 'did you mean "my_api"?' in done.stderr
    assert done.stdout == ""


@both_databases
def test_a_part_of_an_id_must_mean_one_deployment(installation: Installation) -> None:
    for _ in range(2):
        installation.run("deploy", "my_api", "production", "--detach")
    assert installation.run("show", "0").returncode == 4
    said = installation.run("show", "0").stderr
    assert "more than one" in said
    assert all(each.id in said for each in installation.recorded())


@both_databases
def test_a_deployment_is_named_by_any_part_of_its_id(installation: Installation) -> None:
    installation.deploy()
    id_ = installation.last().id
    for part in (id_, id_[:13], id_[-8:], id_[-5:], id_[9:27], id_[20:30], id_[-8:].upper(), f" {id_[-6:]} "):
        assert installation.json("show", part)["id"] == id_, part


@both_databases
@pytest.mark.parametrize("part", ["", "%", "_", "' OR 1=1 --"])
def test_what_is_no_part_of_an_id_means_none(installation: Installation, part: str) -> None:
    installation.run("deploy", "my_api", "production", "--detach")
    for command in ("show", "cancel"):
        assert installation.run(command, part).returncode == 4
    assert installation.last().status == "pending"


def test_a_damaged_store_is_told_and_left_alone(installation: Installation) -> None:
    installation.database.parent.mkdir()
    installation.database.write_bytes(b"no database" * 1000)
    done = installation.run("status")
    assert done.returncode == 6
    assert "run `fraisier db restore`" in done.stderr
    assert installation.database.read_bytes() == b"no database" * 1000


@pytest.mark.parametrize("command", [["status"], ["history"], ["show", "a"], ["db", "rebuild"]])
def test_whoever_only_reads_an_older_store_leaves_it_alone(
    outdated: Installation, command: list[str]
) -> None:
    before = outdated.database.read_bytes()
    done = outdated.run(*command)
    assert (done.returncode, done.stdout) == (6, "")
    assert "run `fraisier db migrate`" in done.stderr
    assert outdated.database.read_bytes() == before


def test_what_does_not_read_the_store_does_not_care_that_it_is_older(outdated: Installation) -> None:
    for command in (["list"], ["plugins"], ["config", "check"]):
        assert outdated.run(*command, FRAISIER_WEBHOOK_SECRET="a secret").returncode == 0, command


def test_a_store_is_migrated_when_that_is_asked_for(outdated: Installation) -> None:
    done = outdated.run("db", "migrate")
    assert done.stdout == f"sqlite://{outdated.database}: applied {migrations(SQL)[-1].name}\n"
    assert outdated.run("db", "migrate").stdout == f"sqlite://{outdated.database}: nothing to do\n"
    assert outdated.json("history") == []


@pytest.mark.parametrize(
    ("command", "code"),
    [(["cancel", "a"], 4), (["deploy", "my_api", "staging", "--branch", "main", "--detach"], 0)],
)
def test_whoever_acts_migrates_the_store(outdated: Installation, command: list[str], code: int) -> None:
    assert outdated.run(*command).returncode == code
    assert outdated.json("db", "migrate")["applied"] == []


def test_migrating_makes_a_store_that_is_missing(installation: Installation) -> None:
    made = installation.json("db", "migrate")
    assert made["database"] == f"sqlite://{installation.database}"
    assert made["applied"] == [each.name for each in migrations(SQL)]
    assert installation.json("history") == []


@every_postgres
def test_migrating_makes_a_store_on_a_server(installation: Installation, postgres_url: str) -> None:
    installation.config.write_text(f"database: {{url: '{postgres_url}'}}\n" + installation.config.read_text())
    assert installation.json("history") == []
    assert installation.json("db", "migrate")["applied"]
    assert installation.json("db", "migrate")["applied"] == []
    assert installation.json("history") == []


@pytest.mark.parametrize("command", [["status"], ["show", "a"], ["cancel", "a"], ["db", "migrate"]])
def test_a_directory_in_place_of_the_store_is_told(installation: Installation, command: list[str]) -> None:
    installation.database.mkdir(parents=True)
    done = installation.run(*command)
    assert (done.returncode, done.stdout) == (6, "")
    assert str(installation.database) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_is_locked_for_long_is_told(installation: Installation) -> None:
    open_store(installation.database).close()
    with closing(sqlite3.connect(installation.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        done = installation.run("status")
    assert (done.returncode, done.stdout) == (6, "")
    assert "It is locked by another process; try again" in done.stderr


@both_databases
def test_the_deployments_can_be_rebuilt_from_their_events(installation: Installation) -> None:
    installation.deploy()
    before = installation.recorded()
    with closing(installation.open()) as store:
        store.execute("DELETE FROM tb_deployments")
    assert installation.recorded() == []
    assert installation.run("db", "rebuild").returncode == 0
    assert installation.recorded() == before


def test_plugins_shows_what_was_set_aside_and_why(installation: Installation) -> None:
    broken = installation.packages.folder / "acme_script.py"
    broken.write_text("raise RuntimeError('no luck')\n")
    found = {each["name"]: each for each in installation.json("plugins")}
    assert found["script"]["status"] == "set aside"
    assert "no luck" in found["script"]["reason"]
    assert "set aside" in installation.run("plugins").stdout


def test_a_configuration_is_found_before_and_after_the_command_and_in_the_environment(
    installation: Installation,
) -> None:
    moved = installation.folder / "elsewhere" / "my.yaml"
    moved.parent.mkdir()
    shutil.move(installation.config, moved)
    expected = ["production", "staging"]
    for arguments in (
        ["-c", str(moved), "list"],
        ["list", "--config", str(moved)],
        ["list", "-c", str(moved)],
    ):
        assert [each["environment"] for each in installation.json(*arguments)] == expected
    assert str(moved) in installation.run("-c", str(moved), "config", "check").stderr
    done = installation.run("list", "--json", FRAISIER_CONFIG=str(moved))
    assert [each["environment"] for each in json.loads(done.stdout)] == expected


def test_without_a_configuration_the_places_looked_at_are_named(installation: Installation) -> None:
    installation.config.unlink()
    done = installation.run("list")
    assert done.returncode == 3
    assert "./fraises.yaml" in done.stderr
