import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from fraisier_core.config import load_config
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import OBSERVERS
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.events import Event, Observed
from fraisier_core.store.records import Request
from fraisier_core.system.processes import ProcessIdentity, descendants
from fraisier_core.worker.observers import ObserversProcess
from fraisier_core.worker.observing import NICE
from fraisier_core.worker.overdue_jobs import overdue_jobs

from tests.packages import DEPLOYER, PackageFolder
from tests.stores import OpenStore, open_store
from tests.waiting import wait_until

CONFIGURATION = """\
fraises:
  api:
    type: nobody-offers-this
    repository: https://example.com/acme/api.git
    environments:
      production: {branch: main}
"""
REQUEST = Request("api", "production", "deploy", "manual", "ada", "refs/heads/main", "c" * 40)

WRITER = """
import os, time
from pathlib import Path
from fraisier_core import ObserverSettings, hookimpl
from pydantic import SecretStr

class Settings(ObserverSettings):
    file: Path
    seconds: float = 0
    token: SecretStr = SecretStr("")

@hookimpl
def settings():
    return Settings

@hookimpl
def deployment_changed(deployment, event, settings):
    with settings.file.open("a") as file:
        file.write(f"{event.sequence} {event.event} {deployment.fraise_id} {os.getppid()}\\n")
    time.sleep(settings.seconds)
"""
IMPATIENT = """
import logging, sys
from pathlib import Path
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.worker.observing import Observing

logging.basicConfig()
plugins = Plugins.installed()
source = ConfigSource(Path(sys.argv[1]), plugins, parts={"observers"})
Observing(source, plugins, 0, retry_seconds=[0.01, 0.02]).run()
"""


class Installation:
    """A configuration with observers, its store, and the process that tells them of events."""

    def __init__(self, folder: Path, site: PackageFolder) -> None:
        self.folder = folder
        self.site = site
        self.file = folder / "seen"
        self.configure()
        source = ConfigSource(self.config, site.plugins(), parts=())
        self.store = open_store(source.current().database)
        configure_store(self.store, source.current(), executes=True)
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def config(self) -> Path:
        return self.folder / "fraises.yaml"

    def observer(self, name: str, source: str = WRITER) -> None:
        self.site.install(OBSERVERS.group, name, source)

    def configure(self, sections: str = "") -> None:
        (self.folder / "new").write_text(CONFIGURATION + sections)
        (self.folder / "new").rename(self.config)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        command = sys.executable, *(command or ("-m", "fraisier_core.worker.observing")), str(self.config)
        environ = {"PYTHONPATH": str(self.site.folder), "FRAISIER_DISABLED_PLUGINS": "notify"}
        env = {**os.environ, **environ}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, env=env)
        self.processes.append(process)
        return process

    def request(self, count: int = 1) -> None:
        for _ in range(count):
            self.store.request(REQUEST)

    def newest(self) -> int:
        return int(self.store.all("SELECT max(sequence) AS newest FROM tb_deployment_events")[0]["newest"])

    def seen(self) -> list[int]:
        return [int(line.split()[0]) for line in self.lines()]

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        for process in self.processes:
            process.communicate()
        self.store.close()


@pytest.fixture
def installation(tmp_path: Path, site: PackageFolder) -> Iterator[Installation]:
    installation = Installation(tmp_path, site)
    yield installation
    installation.close()


def known(store: OpenStore, observer: str = "writer") -> bool:
    return bool(store.all("SELECT 1 FROM tb_observers WHERE name = :name", {"name": observer}))


def test_an_observer_is_told_of_every_event_since_it_was_installed(installation: Installation) -> None:
    installation.request()
    installation.observer("writer")
    installation.configure(f"writer: {{file: {installation.file}}}\n")
    installation.start()
    wait_until(lambda: known(installation.store))
    installation.request(3)
    wait_until(lambda: installation.newest() in installation.seen())
    assert installation.seen() == [2, 3, 4, 5, 6, 7]
    assert [line.split()[1] for line in installation.lines()][:3] == ["superseded", "requested", "superseded"]
    assert wait_until(lambda: installation.store.observed("writer") == Observed(installation.newest()))


def has_seen(installation: Installation, count: int) -> bool:
    return len(installation.seen()) >= count


def test_nothing_is_missed_and_the_order_is_kept_when_it_is_killed_again_and_again(
    installation: Installation,
) -> None:
    installation.observer("writer")
    installation.configure(f"writer: {{file: {installation.file}, seconds: 0.01}}\n")
    installation.store.observe("writer", Observed(0))
    installation.request(40)
    for count in (3, 11, 30):
        process = installation.start()
        wait_until(partial(has_seen, installation, count))
        process.kill()
    installation.start()
    wait_until(lambda: installation.newest() in installation.seen())
    seen = installation.seen()
    assert sorted(set(seen)) == list(range(1, installation.newest() + 1))
    repeated = [(first, then) for first, then in pairwise(seen) if then != first + 1]
    assert len(repeated) <= 3
    assert all(then <= first for first, then in repeated)


def test_one_that_hangs_is_killed_with_what_it_started_and_delays_no_other(
    installation: Installation,
) -> None:
    installation.observer("writer")
    installation.observer(
        "hanger",
        """
        import subprocess
        from fraisier_core import hookimpl

        @hookimpl
        def deployment_changed(deployment, event, settings):
            subprocess.run(["sleep", "1000"])
        """,
    )
    installation.configure(f"writer: {{file: {installation.file}}}\nhanger: {{timeout: 0.5}}\n")
    process = installation.start()
    wait_until(lambda: known(installation.store, "hanger"))
    installation.request()
    hanging = wait_until(lambda: [each for each in descendants(process.pid) if is_sleep(each)])
    wait_until(lambda: installation.seen() == [1])
    assert hanging[0].is_alive()
    wait_until(lambda: not hanging[0].is_alive())
    wait_until(lambda: installation.store.observed("hanger").attempts)
    observed = installation.store.observed("hanger")
    assert (observed.sequence, observed.attempts) == (0, 1)
    assert observed.problem
    assert observed.problem.endswith("no answer within 0.5 s")
    installation.request()
    wait_until(lambda: installation.seen()[-1] == installation.newest())
    hanging = wait_until(lambda: [each for each in descendants(process.pid) if is_sleep(each)])
    process.communicate()
    wait_until(lambda: not hanging[0].is_alive())


def is_sleep(process: ProcessIdentity) -> bool:
    try:
        return Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n"
    except OSError:  # it is gone
        return False


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("raise ValueError('the address\\n is gone')", "ValueError: the address is gone"),
        ("raise ValueError(settings.token.get_secret_value() * 300)", "ValueError: ***"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("__import__('os')._exit(3)", "its process ended with status 3"),
        ("os.kill(os.getpid(), 9)", "its process ended with status -9"),
    ],
)
def test_an_event_that_fails_is_told_again_and_passed_over_at_last(
    installation: Installation, statement: str, problem: str
) -> None:
    installation.observer(
        "writer", WRITER.replace("    time.", f"    if event.sequence == 2: {statement}\n    time.")
    )
    installation.configure(f"writer: {{file: {installation.file}, token: hunter2hunter2}}\n")
    installation.store.observe("writer", Observed(0))
    installation.request(2)
    installation.start("-c", IMPATIENT)
    wait_until(lambda: installation.store.observed("writer").sequence == 3)
    assert installation.seen() == [1, 2, 2, 2, 3]
    observed = installation.store.observed("writer")
    assert observed.attempts == 0
    assert observed.problem
    assert observed.problem.startswith("superseded (event 2) of deployment ")
    assert observed.problem.endswith(problem)
    log = installation.log().splitlines()
    assert [line.rpartition("; ")[2] for line in log] == [
        "told again in 0.01 s",
        "told again in 0.02 s",
        "passed over",
    ]


def test_the_beginning_of_what_it_prints_is_logged_without_secrets(installation: Installation) -> None:
    flood = "    print('é' * 3997 + settings.token.get_secret_value() + 'x' * 5_000_000)\n"
    installation.observer("writer", WRITER + flood)
    installation.configure(f"writer: {{file: {installation.file}, token: hunter2hunter2}}\n")
    installation.store.observe("writer", Observed(0))
    installation.request()
    installation.start()
    wait_until(lambda: installation.store.observed("writer").sequence == 1)
    _, printed, left_out = installation.log().splitlines()
    assert printed == "é" * 3997 + "***"
    assert left_out == "(5000009 bytes more were left out)"


TELLER = """
from fraisier_core import ProviderObserverSettings, TellLaterError, hookimpl

class Settings(ProviderObserverSettings):
    providers = ("toy",)

@hookimpl
def settings():
    return Settings

@hookimpl
def deployment_changed(event, context):
    if context.section == "down":
        raise TellLaterError("no time", 3600)
"""


def test_a_forge_that_is_down_delays_no_other_of_its_provider(installation: Installation) -> None:
    installation.site.provider("toy")
    installation.observer("teller", TELLER)
    section = "{type: toy, webhook_secret: s, api_token: t}"
    installation.configure(f"git:\n  down: {section}\n  up: {section}\n")
    down, up = "teller of git.down", "teller of git.up"
    installation.store.observe(down, Observed(0))
    installation.store.observe(up, Observed(0))
    installation.request(2)
    installation.start()
    wait_until(lambda: installation.store.observed(up).sequence == installation.newest())
    wait_until(lambda: installation.store.observed(down).attempts)
    assert installation.store.observed(down).sequence == 0
    assert [each.name for each in installation.store.observer_problems()] == [down]


def test_it_has_no_descriptor_of_the_store(installation: Installation) -> None:
    source = """
    import os
    from pathlib import Path
    from fraisier_core import hookimpl

    @hookimpl
    def deployment_changed(deployment, event, settings):
        found = [os.path.realpath(f"/proc/self/fd/{each}") for each in range(3, 256)]
        files = [path for path in found if "/fd/" not in path]
        Path(__file__).with_suffix(".open").write_text("\\n".join(files))
    """
    installation.observer("looker", source)
    installation.store.observe("looker", Observed(0))
    installation.request()
    installation.start()
    wait_until(lambda: installation.store.observed("looker").sequence)
    (opened,) = installation.site.folder.glob("*.open")
    assert [Path(path).name for path in opened.read_text().splitlines()] == ["observers.lock"]


LOOKER = """
import json
from pathlib import Path
from fraisier_core import hookimpl

@hookimpl
def deployment_changed(deployment, event, settings, context):
    said = {"event": event.event, "link": context.link(deployment), "repeated": context.repeated,
            "output": context.output, "before": context.previous and context.previous.id,
            "repository": context.environment.repository, "folder": str(context.folder),
            "hold": context.hold and context.hold.text}
    with open(FILE, "a") as file:
        file.write(json.dumps(said) + "\\n")
    if not context.repeated and event.event == "failed":
        raise ValueError("once")
"""


def fail(store: OpenStore, output: str) -> str:
    """Have a deployment fail in a step that printed something, and return its id."""
    deployment_id, claimed = store.request_and_claim(REQUEST, ProcessIdentity.of(os.getpid()))
    assert claimed is not None
    started = Event("step_started", step="build", step_number=1, repeatable=True)
    store.append(claimed.lease, started)
    store.write_log(claimed.lease, 1, output, 0, 1_000_000)
    ended = started._replace(event="step_finished", step_status="failed", message="exit 3")
    store.append(claimed.lease, ended, Event("failed", message="build failed"))
    return deployment_id


def test_it_is_told_what_it_cannot_look_up(installation: Installation) -> None:
    installation.observer("looker", f"FILE = {str(installation.file)!r}\n{LOOKER.lstrip()}")
    installation.configure("public_url: 'https://panel.example.com/{id}'\n")
    first = fail(installation.store, "one\n")
    installation.store.observe("looker", Observed(installation.newest()))
    second = fail(installation.store, "".join(f"{number}\n" for number in range(60)))
    installation.start("-c", IMPATIENT)
    wait_until(lambda: installation.store.observed("looker").sequence == installation.newest())
    *others, failed, again = [json.loads(line) for line in installation.lines()]
    assert {each["before"] for each in others} == {None}
    assert failed == {
        "event": "failed",
        "link": f"https://panel.example.com/{second}",
        "repeated": False,
        "output": [str(number) for number in range(10, 60)],
        "before": first,
        "repository": "example.com/acme/api",
        "folder": str(installation.folder / ".fraisier/observers/looker"),
        "hold": None,
    }
    assert again == failed | {"repeated": True}
    assert Path(failed["folder"]).stat().st_mode & 0o777 == 0o700


def test_it_is_told_what_a_push_waits_for(installation: Installation) -> None:
    installation.observer("looker", f"FILE = {str(installation.file)!r}\n{LOOKER.lstrip()}")
    installation.store.observe("looker", Observed(0))
    installation.store.request(REQUEST._replace(trigger="webhook"))
    installation.start("-c", IMPATIENT.replace("]).run", "], look_seconds=0.02).run"))
    wait_until(installation.lines)
    for reason, ends in (("the fair is on", "2099-01-01T00:00:00.000000Z"), ("it rains", None)):
        installation.store.hold("api", "production", reason, "ada", ends)
        wait_until(lambda: reason in installation.lines()[-1])  # noqa: B023 - called here
    installation.store.resume("api", "production", "ada")
    wait_until(lambda: len(installation.lines()) >= 4)
    installation.request()
    wait_until(lambda: installation.store.observed("looker").sequence == installation.newest())
    *told, superseded, requested = [json.loads(line) for line in installation.lines()]
    assert [(each["event"], each["repeated"], each["hold"]) for each in told] == [
        ("requested", False, None),
        ("requested", True, "held by ada until 2099-01-01 00:00:00 UTC: the fair is on"),
        ("requested", True, "held by ada: it rains"),
        ("requested", True, None),
    ]
    assert [superseded["event"], requested["event"]] == ["superseded", "requested"]


def test_what_it_was_being_told_when_everything_was_killed_is_told_as_a_repetition(
    installation: Installation,
) -> None:
    sleep = "    __import__('time').sleep(1000 * (not context.repeated))\n"
    installation.observer("looker", f"FILE = {str(installation.file)!r}\n{LOOKER.lstrip()}{sleep}")
    installation.configure("looker: {timeout: 1000}\n")
    installation.store.observe("looker", Observed(0))
    installation.request()
    process = installation.start()
    wait_until(installation.lines)
    process.kill()
    installation.start()
    wait_until(lambda: installation.store.observed("looker").sequence == 1)
    assert [json.loads(line)["repeated"] for line in installation.lines()] == [False, True]


def test_the_mark_of_a_record_that_is_gone_makes_nothing_a_repetition(installation: Installation) -> None:
    installation.observer("looker", f"FILE = {str(installation.file)!r}\n{LOOKER.lstrip()}")
    installation.configure("looker: {timeout: 1000}\n")
    installation.store.observe("looker", Observed(0))
    mark = installation.folder / ".fraisier/observers/looker.told"
    mark.parent.mkdir(parents=True)
    mark.write_text("5000")
    installation.request()
    installation.start()
    wait_until(installation.lines)
    assert json.loads(installation.lines()[0])["repeated"] is False


def test_one_that_says_when_is_told_again_then(installation: Installation) -> None:
    source = """
    from fraisier_core import TellLaterError, hookimpl

    @hookimpl
    def deployment_changed(context):
        if not context.repeated:
            raise TellLaterError("asked too often", 0.25)
    """
    installation.observer("looker", source)
    installation.store.observe("looker", Observed(0))
    installation.request()
    installation.start()
    wait_until(lambda: installation.store.observed("looker").sequence == 1)
    assert installation.log().splitlines()[-1].endswith(": asked too often; told again in 0.25 s")
    (event,) = installation.store.events()
    wait_until(lambda: not installation.store.untold(event.deployment_id))


def test_what_cannot_be_done_is_passed_over_at_once_and_logged_once(installation: Installation) -> None:
    source = """
    from fraisier_core import TellNoMoreError, hookimpl

    @hookimpl
    def deployment_changed(event):
        raise TellNoMoreError("401: no such token" if event.sequence != 4 else "403: forbidden")
    """
    installation.observer("looker", source)
    installation.store.observe("looker", Observed(0))
    installation.request(4)
    installation.start()
    wait_until(lambda: installation.store.observed("looker").sequence == installation.newest())
    told = [line for line in installation.log().splitlines() if "passed over" in line]
    assert [line.split(": ", 2)[2] for line in told] == [
        "401: no such token; passed over",
        "403: forbidden; passed over",
        "401: no such token; passed over",
    ]
    assert (installation.store.observed("looker").problem or "").endswith(": 401: no such token")
    last = installation.store.events()[-1]
    (untold,) = installation.store.untold(last.deployment_id)
    assert (untold.observer, untold.event, untold.problem) == ("looker", last.event, "401: no such token")


NIGHTLY = CONFIGURATION.replace(
    "branch: main", "schedule: 0 3 * * *, ping: 'https://hc.example.com/a-secret'"
)
JOBS = DEPLOYER.replace("EnvironmentSettings", "JobSettings").replace("core.settings", "core.job_settings")
JOBS += """
@hookimpl
def run_job(run):
    pass
"""
OVERDUE = """
from fraisier_core import hookimpl

@hookimpl
def deployment_changed(event):
    pass

@hookimpl
def overdue(missed, context):
    with open(FILE, "a") as file:
        told = missed.fraise_id, missed.kind, missed.due, context.repeated, context.environment.type
        file.write(" ".join(map(str, told)) + "\\n")
    if missed.since and not context.repeated:
        raise ValueError("once")
"""


def test_a_job_is_overdue_if_no_run_was_requested_when_it_was_due(
    tmp_path: Path, site: PackageFolder
) -> None:
    def missed(begun: str, now: str) -> list[str]:
        times = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (begun, now))
        return [each.due for each in overdue_jobs(config, installation.store, *times)]

    installation = Installation(tmp_path, site)
    installation.config.write_text(NIGHTLY.replace("0 3 * * *", "{cron: 0 3 * * *, time_zone: UTC}"))
    config = load_config(installation.config, site.plugins())
    assert missed("2026-01-01T02:00", "2026-01-01T03:03") == []  # never deployed
    installation.store.request(Request("api", "production", "run", "schedule", None))
    installation.store.execute("UPDATE tb_deployments SET requested_at = '2026-01-01T02:00:00.000000Z'")
    assert missed("2026-01-01T02:00", "2026-01-01T03:01") == []
    late = "2026-01-01T03:03"  # however new the configuration and the process are
    assert missed("2026-01-01T03:02", late) == ["2026-01-01T03:00:00.000000Z"]
    installation.store.execute("UPDATE tb_deployments SET requested_at = '2026-01-01T04:00:00.000000Z'")
    assert missed("2026-01-01T02:00", "2026-01-01T12:00") == []
    installation.close()


def test_an_overdue_job_is_told_of_once_and_after_a_restart_not_again(installation: Installation) -> None:
    installation.site.deployer("nobody-offers-this", JOBS, module="acme_jobs")
    installation.observer("hearer", f"FILE = {str(installation.file)!r}\n{OVERDUE.lstrip()}")
    installation.config.write_text(NIGHTLY)
    os.utime(installation.config, (0, 0))
    installation.store.request(Request("api", "production", "run", "schedule", None))
    installation.store.execute("UPDATE tb_deployments SET requested_at = '2026-01-01T00:00:00.000000Z'")
    source = IMPATIENT.replace("]).run", "], look_seconds=0.02).run")
    first = installation.start("-c", source)
    wait_until(lambda: len(installation.lines()) == 2)
    wait_until(lambda: '"told"' in (installation.folder / ".fraisier/observers/hearer.overdue").read_text())
    installation.observer("writer")
    first.communicate()
    installation.config.write_text(NIGHTLY + f"writer: {{file: {installation.file}}}\n")
    os.utime(installation.config, (0, 0))
    installation.start("-c", source)
    wait_until(lambda: known(installation.store))
    installation.store.request(Request("api", "production", "run", "manual", "ada"))
    wait_until(lambda: installation.lines()[-1].startswith(f"{installation.newest()} "))
    told = [line.split() for line in installation.lines()[:2]]
    assert [(each[1], each[3], each[4]) for each in told] == [
        ("run", "False", "nobody-offers-this"),
        ("run", "True", "nobody-offers-this"),
    ]
    assert not [line for line in installation.lines()[2:] if "nobody" in line]
    assert "overdue run of api production: ValueError: once; told again" in installation.log()
    (problem,) = installation.store.observer_problems()
    assert (problem.name, problem.problem) == ("hearer", "overdue run of api production: ValueError: once")


DELIVERER = """
from fraisier_core import TellLaterError, hookimpl

@hookimpl
def deployment_changed(event, context):
    if event.sequence <= 2:
        (context.folder / str(event.sequence)).touch()
    return event.sequence == 2

@hookimpl
def deliver(context):
    said = " ".join(sorted(each.name for each in context.folder.iterdir()))
    pings = [each.ping.get_secret_value() for each in context.environments.values() if each.ping]
    with open(FILE, "a") as file:
        file.write(f"{said or '-'} {pings[0]}\\n")
    if said == "1 2":
        (context.folder / "1").unlink()
        raise TellLaterError(f"{pings[0]} is not there", 0.01)
    if said == "2":
        (context.folder / "2").unlink()
        return 0.01
"""


def test_what_an_observer_keeps_is_delivered_apart_from_the_events(installation: Installation) -> None:
    installation.site.deployer("nobody-offers-this", JOBS, module="acme_jobs")
    installation.observer("sender", f"FILE = {str(installation.file)!r}\n{DELIVERER.lstrip()}")
    installation.config.write_text(NIGHTLY)
    installation.start("-c", IMPATIENT)
    wait_until(installation.lines)
    installation.request()
    wait_until(lambda: installation.store.observed("sender").sequence)
    installation.request()
    wait_until(lambda: len(installation.lines()) == 4)
    ping = "https://hc.example.com/a-secret"
    assert installation.lines() == [f"- {ping}", f"1 2 {ping}", f"2 {ping}", f"- {ping}"]
    assert "observer sender: *** is not there; told again in 0.01 s" in installation.log()
    assert ping not in installation.log()
    (problem,) = installation.store.observer_problems()
    assert problem.problem == "*** is not there"


def test_it_ends_with_its_owner_and_so_does_whom_it_tells(installation: Installation) -> None:
    installation.observer("writer")
    installation.configure(f"writer: {{file: {installation.file}, seconds: 1000, timeout: 1000}}\n")
    installation.store.observe("writer", Observed(0))
    installation.request()
    process = installation.start()
    wait_until(installation.lines)
    (told,) = descendants(process.pid)
    process.communicate(timeout=10)
    assert process.returncode == 0
    wait_until(lambda: not told.is_alive())


def test_only_one_process_tells_at_a_time(installation: Installation) -> None:
    installation.observer("writer")
    installation.configure(f"writer: {{file: {installation.file}, seconds: 0.1}}\n")
    installation.store.observe("writer", Observed(0))
    installation.request(20)
    first = installation.start()
    wait_until(installation.lines)
    installation.start()
    wait_until(lambda: len(installation.seen()) > 20)
    first.communicate()
    wait_until(lambda: installation.newest() in installation.seen())
    tellers = [line.split()[3] for line in installation.lines()]
    assert len(list(groupby(tellers))) == 2


def test_a_changed_configuration_ends_it_when_what_it_tells_is_told(installation: Installation) -> None:
    installation.observer("writer")
    installation.configure(f"writer: {{file: {installation.file}, seconds: 0.2}}\n")
    installation.store.observe("writer", Observed(0))
    installation.request(3)
    process = installation.start()
    wait_until(installation.lines)
    installation.configure(f"writer: {{file: {installation.file}}}\n")
    assert process.wait(20) == 0
    seen = installation.seen()
    assert seen == list(range(1, len(seen) + 1))
    assert installation.store.observed("writer").sequence == seen[-1]


def test_an_observer_that_cannot_be_told_is_named_in_the_log(installation: Installation) -> None:
    installation.observer("broken", "import acme_nowhere")
    installation.observer("writer")
    installation.configure("writer: {file: '${NOT_SET}'}\nbroken:\n")
    installation.start()
    wait_until(lambda: "NOT_SET" in installation.log())
    assert (
        'observer broken is told nothing: the observer "broken" (acme-broken 2.1) is set aside'
        in installation.log()
    )


def told_by(observers: ObserversProcess, installation: Installation) -> list[int]:
    observers.watch()
    return installation.seen()


def test_the_worker_starts_the_process_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installation.site.folder))
    installation.observer("writer")
    installation.configure(f"writer: {{file: {installation.file}}}\n")
    others = descendants(os.getpid())
    observers = ObserversProcess(installation.config, installation.site.plugins())
    observers.watch()
    wait_until(lambda: known(installation.store))
    (process,) = descendants(os.getpid()) - others
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + NICE
    session = Path(f"/proc/{process.pid}/autogroup")
    assert not session.exists() or session.read_text().strip().endswith(f"nice {NICE}")
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.is_alive())
    installation.request()
    wait_until(lambda: told_by(observers, installation))
    assert "the process observers ended with status -9; started again in 1 s" in caplog.text
    observers.close()
    assert not descendants(os.getpid()) - others
