"""The observer `notify`, with a real mail server, a real HTTP server and the process that tells observers."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any

import fraisier_notify
import pytest
from fraisier_core import EnvironmentFacts, Missed, ObserverContext, TellLaterError
from fraisier_core.config import PARTS, load_config
from fraisier_core.config.schema import config_schema
from fraisier_core.errors import ConfigurationError
from fraisier_core.plugins import Plugins
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.events import DeploymentEvent, Event
from fraisier_core.store.records import Request
from fraisier_core.system.processes import ProcessIdentity, descendants
from fraisier_core.testing import ApiRequest, ApiResponse, ApiServer
from fraisier_notify.delivering import MOST_REFUSALS, Known
from fraisier_notify.notify_settings import NotifySettings
from fraisier_notify.outbox import Letter, Outbox
from fraisier_notify.sending import send
from pydantic import SecretStr

from tests.packages import DEPLOYER, PackageFolder
from tests.smtp import SmtpServer, smtp_server
from tests.stores import open_store
from tests.waiting import wait_until

SECRET = "hunter2-of-the-url"
CONFIGURATION = """\
fraises:
  api:
    type: job
    repository: https://example.com/acme/api.git
    environments:
      production: {{branch: main, ping: "{ping}"}}
public_url: "https://panel.example.com/{{id}}"
notify:
  mail: {{url: "{mail}"}}
  hook: {{url: "{hook}"}}
"""
JOBS = DEPLOYER.replace("EnvironmentSettings", "JobSettings").replace("core.settings", "core.job_settings")
JOBS += """
@hookimpl
def run_job(run):
    pass
"""
RUN = Request("api", "production", "run", "manual", "ada")
DELIVER = """
import json, sys
from dataclasses import replace
from pathlib import Path
import fraisier_notify
from fraisier_core import ObserverContext
from fraisier_notify.notify_settings import NotifySettings

section, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
fraisier_notify.deliver(NotifySettings.model_validate(section), ObserverContext(folder))
"""


class Place:
    """A store with a job whose runs end as the test says, and the servers that hear of it."""

    def __init__(self, folder: Path, site: PackageFolder, hook: ApiServer, smtp: SmtpServer) -> None:
        self.folder, self.hook, self.smtp, self.site = folder, hook, smtp, site
        site.deployer("job", JOBS)
        self.config = folder / "fraises.yaml"
        mail = f"mailto://127.0.0.1:{smtp.port}?from=fraisier@example.com&to=ada@example.com&name={SECRET}"
        url = f"json://ada:{SECRET}@{hook.host}/notified"
        self.config.write_text(
            CONFIGURATION.format(mail=mail, hook=url, ping=f"{hook.url}/ping/{SECRET}?a=1")
        )
        loaded = load_config(self.config, Plugins.installed())
        self.store = open_store(loaded.database)
        configure_store(self.store, loaded, executes=True)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "fraisier_core.worker.observing", str(self.config)]
        env = {**os.environ, "PYTHONPATH": str(self.site.folder)}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, env=env)
        self.processes.append(process)
        wait_until(lambda: self.store.all("SELECT 1 AS one FROM tb_observers"))
        return process

    def end(self, event: str, output: str = "", message: str | None = None) -> str:
        """Have a run end so, and return its id."""
        deployment_id, claimed = self.store.request_and_claim(RUN, ProcessIdentity.of(os.getpid()))
        assert claimed is not None
        if output:
            step = Event("step_started", step="job", step_number=1, repeatable=True)
            self.store.append(claimed.lease, step)
            self.store.write_log(claimed.lease, 1, output, 0, 1_000_000)
            self.store.append(claimed.lease, step._replace(event="step_finished", step_status="failed"))
        self.store.append(claimed.lease, Event(event, message=message))  # type: ignore[arg-type]
        return deployment_id

    def settle(self) -> None:
        """Wait until everything was told and sent."""
        newest = self.store.all("SELECT max(sequence) AS newest FROM tb_deployment_events")[0]["newest"]
        wait_until(lambda: self.store.observed("notify").sequence == newest)
        wait_until(lambda: not list((self.folder / ".fraisier/observers/notify").glob("*.letter")))

    def notified(self) -> list[Any]:
        return [each.json() for each in self.hook.requests if each.path.startswith("/notified")]

    def pings(self) -> list[ApiRequest]:
        return [each for each in self.hook.requests if each.path.startswith("/ping")]

    def close(self) -> None:
        for process in self.processes:
            process.communicate()
        self.store.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageFolder:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return PackageFolder(folder)


@pytest.fixture
def hook() -> Iterator[ApiServer]:
    with ApiServer(lambda _: ApiResponse()) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, site: PackageFolder, hook: ApiServer) -> Iterator[Place]:
    with smtp_server() as smtp:
        place = Place(tmp_path, site, hook, smtp)
        yield place
        place.close()


def test_a_failed_run_reaches_everybody_once_and_the_next_success_says_so(
    place: Place,
) -> None:
    place.start()
    failed = place.end("failed", "one\ntwo\n", "job: exit status 3")
    place.settle()
    (told,) = place.notified()
    assert told["title"] == "api production: run failed"
    assert told["message"].splitlines()[0] == "job: exit status 3"
    for part in ("requested by: ada (manual)", f"https://panel.example.com/{failed}", "  two"):
        assert part in told["message"]
    assert told["message"].endswith(f"Next: fraisier show {failed}")
    (mail,) = place.smtp.mails
    assert mail["Subject"] == "api production: run failed"
    assert "job: exit status 3" in mail.as_string()
    place.end("success")
    place.end("success")
    place.settle()
    assert [each["title"] for each in place.notified()[1:]] == ["api production: run succeeds again"]
    assert len(place.smtp.mails) == 2
    assert [(each.path.partition("?")[0].rpartition("/")[2], each.body) for each in place.pings()[:2]] == [
        ("start", b""),
        ("fail", b"job: exit status 3\none\ntwo"),
    ]
    assert place.pings()[1].path == f"/ping/{SECRET}/fail?a=1&rid={failed}"
    assert [each.path.partition("?")[0] for each in place.pings()[2:4]] == [
        f"/ping/{SECRET}/start",
        f"/ping/{SECRET}",
    ]
    seen = [(place.folder / "log").read_text(), str(place.store.all("SELECT * FROM tb_observers"))]
    kept = [path for path in (place.folder / ".fraisier/observers").rglob("*") if path.is_file()]
    seen += [path.read_text() for path in kept]
    for each in descendants(os.getpid()):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            seen.append(Path(f"/proc/{each.pid}/cmdline").read_text())
    assert not [text for text in seen if SECRET in text]
    assert {oct(path.stat().st_mode & 0o77) for path in kept if path.parent.name == "notify"} == {"0o0"}


def section(**urls: str) -> NotifySettings:
    return NotifySettings.model_validate({name: {"url": url, "per_hour": 5} for name, url in urls.items()})


def told_of_failures(place: Place, settings: NotifySettings, count: int = 1) -> ObserverContext:
    """Tell of the failures of some runs, and return the context."""
    folder = place.folder / "own"
    folder.mkdir(exist_ok=True)
    context = ObserverContext(folder)
    deployment = place.store.deployment(place.end("failed", message="it broke"))
    event = place.store.events(deployment_id=deployment.id)[-1]
    for number in range(count):
        one = DeploymentEvent(*event)._replace(sequence=event.sequence + number, message=f"number {number}")
        assert fraisier_notify.deployment_changed(deployment, one, settings, context)
    return context


def test_a_hundred_at_once_stay_within_the_bound_and_the_next_message_says_how_many_were_left_out(
    place: Place, hook: ApiServer
) -> None:
    settings = section(hook=f"json://{hook.host}/notified")
    context = told_of_failures(place, settings, 100)
    assert fraisier_notify.deliver(settings, context) is None
    messages = [each["message"] for each in place.notified()]
    newest = [f"number {number}" for number in range(97, 100)]
    assert [each.partition("\n")[0] for each in messages] == newest
    assert "97 more notifications were left out: more than 5 in an hour, " in messages[0]
    assert "What was told within the hour is from now on counted and left out" in messages[-1]
    told_of_failures(place, settings, 3)
    with pytest.raises(TellLaterError, match=r"^hook: 3 notifications were left out$") as caught:
        fraisier_notify.deliver(settings, context)
    assert caught.value.seconds is not None
    assert 3000 < caught.value.seconds <= 3600
    assert len(place.notified()) == 3
    an_hour_later(context.folder, "hook")
    fraisier_notify.deliver(settings, context)
    assert "3 more notifications were left out" in place.notified()[3]["message"]
    told_of_failures(place, settings)
    fraisier_notify.deliver(settings, context)
    assert "left out:" not in place.notified()[4]["message"]


def test_a_flood_of_one_title_silences_no_other(tmp_path: Path, hook: ApiServer) -> None:
    settings, context = section(hook=f"json://{hook.host}/"), ObserverContext(tmp_path)
    for _ in range(3):
        put(tmp_path, *(Letter("web dev: failed", "it broke", "hook") for _ in range(9)))
        delivered(settings, context)
    titles = ["shop production: backup failed", "api production: failed"]
    put(tmp_path, *(Letter(title, "it broke", "hook") for title in [*titles, "web dev: failed"]))
    delivered(settings, context)
    told = [each.json() for each in hook.requests]
    assert [each["title"] for each in told] == ["web dev: failed"] * 3 + titles
    assert "\n- web dev: failed (19)" in told[3]["message"]
    assert "This is the last one for now" in told[4]["message"]


def test_an_answer_that_is_as_large_as_the_memory_ends_the_attempt_alone(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(300_000_000), 1)
    put(tmp_path, Letter("one", "body", "hook"))
    with ApiServer(lambda _: ApiResponse(200, bomb, {"Content-Encoding": "gzip"})) as server:
        problem = delivered(section(hook=f"json://{server.host}/"), ObserverContext(tmp_path))
    assert problem == "hook: Notification service 'JSON' raised an exception."


def test_two_jobs_whose_names_read_alike_when_joined_are_both_told_of(tmp_path: Path) -> None:
    settings, context = section(hook="json://127.0.0.1/"), ObserverContext(tmp_path)
    for fraise, environment in (("api", "eu-prod"), ("api-eu", "prod")):
        fraisier_notify.overdue(
            Missed(fraise, environment, "run", "2026-01-02T02:30:00Z", ""), settings, context
        )
    assert len(list(Outbox(tmp_path).letters())) == 2


def test_what_a_pusher_wrote_calls_nobody_and_links_nowhere(place: Place) -> None:
    settings, context = section(hook="json://127.0.0.1/"), ObserverContext(place.folder)
    told = "@everyone <!here> [Sign in](https://example.com) [Or][1]\n[1]: https://example.com"
    deployment = place.store.deployment(place.end("failed", message=told))
    event = place.store.events(deployment_id=deployment.id)[-1]
    fraisier_notify.deployment_changed(deployment, event, settings, context)
    ((_, letter),) = Outbox(place.folder).letters()
    assert letter.body.replace("\u2060", "").startswith(told)
    assert not re.search(r"@everyone|<!|\][(\[:]", letter.body)


def an_hour_later(folder: Path, name: str) -> None:
    """Have what is known of where letters go be older by an hour."""
    outbox = Outbox(folder)
    known = dict(outbox.known(name))
    tried = [each - 3600 for each in known["tried"]]
    arrived = [(at - 3600, title) for at, title in known["arrived"]]
    outbox.note(name, known | {"tried": tried, "arrived": arrived, "not_before": known["not_before"] - 3600})


def test_a_destination_that_fails_keeps_no_other_waiting_and_is_tried_later_and_later(place: Place) -> None:
    def answer(request: ApiRequest) -> ApiResponse:
        return ApiResponse(500 if "/bad" in request.path and len(server.requests) < 3 else 200, SECRET)

    with ApiServer(answer) as server:
        settings = section(bad=f"json://u:{SECRET}@{server.host}/bad", good=f"json://{server.host}/good")
        context = told_of_failures(place, settings)
        with pytest.raises(TellLaterError, match=r"^bad: ") as caught:
            fraisier_notify.deliver(settings, context)
        assert "500" in str(caught.value)
        assert SECRET not in str(caught.value)
        assert server.host.partition(":")[2] not in str(caught.value)
        assert caught.value.seconds == 5
        assert sorted(each.path for each in server.requests) == ["/bad", "/good"]
        pause = fraisier_notify.deliver(settings, context)
        assert pause is not None
        assert 0 < pause <= 5
        assert len(server.requests) == 2
        an_hour_later(context.folder, "bad")
        with pytest.raises(TellLaterError) as caught:
            fraisier_notify.deliver(settings, context)
        assert caught.value.seconds == 10
        an_hour_later(context.folder, "bad")
        assert fraisier_notify.deliver(settings, context) is None
        assert "This may be a repetition" in server.requests[-1].json()["message"]
        assert "This may be a repetition" not in server.requests[0].json()["message"]


def test_what_was_cut_off_is_sent_again_as_a_repetition(place: Place) -> None:
    with ApiServer(lambda _: ApiResponse(hangs=len(server.requests) == 0)) as server:
        url = f"json://{server.host}/notified"
        settings = section(hook=url)
        context = told_of_failures(place, settings)
        given = json.dumps({"hook": {"url": url}})
        cut_off = subprocess.Popen([sys.executable, "-c", DELIVER, given, str(context.folder)])
        wait_until(lambda: server.requests)
        cut_off.send_signal(signal.SIGKILL)
        cut_off.wait()
        an_hour_later(context.folder, "hook")
        assert fraisier_notify.deliver(settings, context) is None
        first, again = (each.json()["message"] for each in server.requests)
        assert "This may be a repetition" not in first
        assert "This may be a repetition" in again


def test_no_redirect_is_followed_whatever_the_url_says(hook: ApiServer) -> None:
    elsewhere = ApiResponse(307, headers={"Location": f"{hook.url}/secret"})
    with ApiServer(lambda _: elsewhere) as server:
        for query in ("", "?redirect=yes", "?Redirect=1"):
            assert send(f"json://{server.host}/{query}", "title", "body", 30) is not None
        assert len(server.requests) == 3
        assert hook.requests == []


@pytest.mark.parametrize(
    "url",
    [
        f"nobody-knows://user:{SECRET}@host/",
        f"json://user:{SECRET}@127.0.0.1:1/{SECRET}",
        f"slack://{SECRET}",
        f"mailto://user:{SECRET}@127.0.0.1:1?to=ada@example.com&from=bob@example.com",
        f"json://[{SECRET}",
    ],
)
def test_neither_a_url_nor_a_part_of_it_is_in_an_error_or_printed(
    url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    problem = send(url, "title", "body", 30)
    assert problem
    for text in (problem.text, *capfd.readouterr(), caplog.text):
        assert SECRET not in text
        assert "127.0.0.1" not in text
        assert "example.com" not in text


def pinged(place: Place, event: str, url: str, kind: str = "run") -> tuple[ObserverContext, NotifySettings]:
    """Tell of the end of a run of a kind, and return the context in which its ping is delivered."""
    folder = place.folder / "own"
    folder.mkdir()
    facts = EnvironmentFacts("job", ping=SecretStr(url), notify=())
    context = ObserverContext(folder, facts, environments={("api", "production"): facts})
    deployment = place.store.deployment(place.end(event))._replace(kind=kind)
    last = place.store.events(deployment_id=deployment.id)[-1]
    assert fraisier_notify.deployment_changed(deployment, last, section(), context)
    return context, section()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (ApiResponse(404), "status 404"),
        (ApiResponse(307, headers={"Location": "http://169.254.169.254/latest"}), "status 307"),
    ],
)
def test_a_ping_that_fails_is_told_without_its_address(
    place: Place, answer: ApiResponse, problem: str
) -> None:
    with ApiServer(lambda _: answer) as server:
        context, settings = pinged(place, "success", f"{server.url}/{SECRET}")
        with pytest.raises(TellLaterError) as caught:
            fraisier_notify.deliver(settings, context)
    assert str(caught.value) == f"ping of api production: {problem}"
    assert len(server.requests) == 1


def test_a_ping_of_a_backup_without_an_answer_is_told_without_its_address(place: Place) -> None:
    context, settings = pinged(place, "failed", f"http://127.0.0.1:1/{SECRET}", "backup")
    with pytest.raises(TellLaterError, match=r"^ping of api production: Connection refused$"):
        fraisier_notify.deliver(settings, context)


def test_who_hears_of_what_is_narrowed(tmp_path: Path) -> None:
    said = {"ops": {"url": "json://a"}, "ada": {"url": "json://b", "on": "overdue"}}
    settings = NotifySettings.model_validate(said)
    assert settings.hearing("failed", None) == ["ops"]
    assert settings.hearing("overdue", None) == ["ops", "ada"]
    assert settings.hearing("overdue", ["ada"]) == ["ada"]
    assert settings.hearing("overdue", []) == []
    missed = Missed("api", "production", "restore_test", "2026-01-31T03:00:00.000000Z", "")
    context = ObserverContext(tmp_path, EnvironmentFacts("job", notify=("ada",)))
    assert fraisier_notify.overdue(missed, settings, context)
    ((_, letter),) = Outbox(tmp_path).letters()
    assert (letter.name, letter.title) == ("ada", "api production: restore test is overdue")
    assert "It was due at 2026-01-31 03:00 UTC" in letter.body


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{ops: {url: hunter2}}", "notify.ops.url: should be a URL of Apprise, such as mailtos://"),
        ("{ops: {url: 'json://hunter2, json://hunter2'}}", "notify.ops.url: should be one URL"),
        ("{ops: {url: [hunter2]}}", "notify.ops.url: should be text"),
        ("{ops: {uri: 'json://hunter2'}}", 'notify.ops.uri: unknown key; did you mean "url"?'),
        ("{ops: 'json://hunter2'}", "notify.ops: should be a mapping"),
        ("{ops: {url: 'json://hunter2', on: [lost]}}", "notify.ops.on.0: "),
        (
            "{OPS: {url: 'json://hunter2'}}",
            "notify: should have names of 1 to 63 of a-z",
        ),
    ],
)
def test_what_is_wrong_is_told_without_the_url(tmp_path: Path, written: str, problem: str) -> None:
    (tmp_path / "fraises.yaml").write_text(f"fraises: {{}}\nnotify: {written}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_config(tmp_path / "fraises.yaml", Plugins.installed(), parts=PARTS)
    assert any(problem in each for each in caught.value.problems)
    assert "hunter2" not in str(caught.value).replace("'hunter2'", "")


def test_the_schema_has_names_as_further_keys() -> None:
    schema: Mapping[str, Any] = config_schema(Plugins.installed())
    found = schema["$defs"]["NotifySettings"]
    assert set(found["properties"]) == {"timeout"}
    assert found["additionalProperties"] == {"$ref": "#/$defs/Destination"}


def test_an_event_that_is_told_again_is_put_into_the_outbox_once(place: Place, hook: ApiServer) -> None:
    settings = section(hook=f"json://{hook.host}/notified")
    context = told_of_failures(place, settings)
    assert fraisier_notify.deliver(settings, context) is None
    (deployment,) = place.store.deployments()
    event = place.store.events(deployment_id=deployment.id)[-1]
    again = replace(context, repeated=True)
    assert fraisier_notify.deployment_changed(deployment, event, settings, again)
    assert not list(Outbox(context.folder).letters())
    newer = event._replace(sequence=event.sequence + 1)
    assert fraisier_notify.deployment_changed(deployment, newer, settings, again)
    assert len(list(Outbox(context.folder).letters())) == 1
    of_an_older_record = event._replace(deployment_id="another", sequence=1)
    assert fraisier_notify.deployment_changed(deployment, of_an_older_record, settings, again)
    assert len(list(Outbox(context.folder).letters())) == 2


def put(folder: Path, *letters: Letter) -> Outbox:
    """Have an outbox with some letters."""
    outbox = Outbox(folder)
    for number, letter in enumerate(letters):
        outbox.put(f"{number}", letter)
    return outbox


def delivered(settings: NotifySettings, context: ObserverContext) -> str:
    """Deliver as if no failure were remembered, and return the problem."""
    outbox = Outbox(context.folder)
    for path in context.folder.glob("*.json"):
        outbox.note(path.stem, {**outbox.known(path.stem), "not_before": 0, "failures": 0})
    try:
        fraisier_notify.deliver(settings, context)
    except TellLaterError as error:
        return str(error)
    return ""


def test_a_letter_that_is_refused_keeps_no_other_waiting_and_is_dropped_in_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(request: ApiRequest) -> ApiResponse:
        return ApiResponse(400 if request.json()["title"] == "poison" else 200)

    with ApiServer(answer) as server:
        settings = section(hook=f"json://{server.host}/")
        outbox = put(tmp_path, *(Letter(each, "body", "hook") for each in ("poison", "later")))
        context = ObserverContext(tmp_path)
        assert delivered(settings, context).startswith("hook: ")
        assert delivered(settings, context).startswith("hook: ")
        assert [each.json()["title"] for each in server.requests] == ["poison", "later", "poison"]
        ((key, letter),) = outbox.letters()
        assert (letter.attempts, letter.refusals) == (2, 2)
        outbox.remove(key)
        outbox.put(key, replace(letter, refusals=MOST_REFUSALS))
        an_hour_later(tmp_path, "hook")
        assert delivered(settings, context) == ""
        assert server.requests[-1].json()["title"] == "Fraisier: notifications were left out"
        message = server.requests[-1].json()["message"]
        assert "1 more notifications were left out" in message
        assert "\n- poison (1)" in message
    assert "hook: too old, or refused too often: 1 not sent" in caplog.text


def test_a_letter_outlasts_a_destination_that_is_away(tmp_path: Path) -> None:
    with ApiServer(lambda _: ApiResponse(200 if len(server.requests) > MOST_REFUSALS else 503)) as server:
        settings = section(hook=f"json://{server.host}/")
        outbox = put(tmp_path, Letter("the backup failed", "body", "hook"))
        for _ in range(MOST_REFUSALS + 1):
            with pytest.raises(TellLaterError):
                fraisier_notify.deliver(settings, ObserverContext(tmp_path))
            an_hour_later(tmp_path, "hook")
        fraisier_notify.deliver(settings, ObserverContext(tmp_path))
        assert server.requests[-1].json()["title"] == "the backup failed"
    assert len(server.requests) == MOST_REFUSALS + 2
    assert not list(outbox.letters())


def test_attempts_count_as_sent_but_leave_nothing_out(tmp_path: Path) -> None:
    with ApiServer(lambda _: ApiResponse(500)) as server:
        settings = NotifySettings.model_validate({"hook": {"url": f"json://{server.host}/", "per_hour": 3}})
        outbox, context = Outbox(tmp_path), ObserverContext(tmp_path)
        for title in ("one", "two", "three"):
            outbox.put(title, Letter(title, "body", "hook"))
            delivered(settings, context)
            outbox.note("hook", {**outbox.known("hook"), "not_before": 0.0})
        pause = fraisier_notify.deliver(settings, context)
        assert pause is not None
        assert pause > 3000
        assert len(server.requests) == 3
        server.answer = lambda _: ApiResponse()
        an_hour_later(tmp_path, "hook")
        delivered(settings, context)
    assert {each.json()["title"] for each in server.requests[3:]} == {"one", "two", "three"}


def test_what_is_too_old_is_not_sent_as_if_it_were_of_now(tmp_path: Path, hook: ApiServer) -> None:
    outbox = put(
        tmp_path, Letter("old", "body", "hook", at=time() - 25 * 3600), Letter("new", "body", "hook")
    )
    assert delivered(section(hook=f"json://{hook.host}/"), ObserverContext(tmp_path)) == ""
    (request,) = hook.requests
    assert request.json()["title"] == "new"
    assert "1 more notifications were left out" in request.json()["message"]
    assert not list(outbox.letters())


def test_a_clock_that_was_ahead_silences_nobody_for_longer_than_an_hour() -> None:
    known = Known(tried=[90_000.0] * 2, not_before=90_000.0)
    assert known.pause(3600.0) == 0
    known.forget(3600.0)
    assert known.waits(2, 3600.0) == [3600.0]
    known.forget(7201.0)
    assert known.waits(2, 7201.0) == []


def test_pings_of_environments_whose_names_read_alike_go_each_to_its_own_address(
    tmp_path: Path, hook: ApiServer
) -> None:
    places = ("api", "eu-prod"), ("api-eu", "prod")
    facts = {each: EnvironmentFacts("job", ping=SecretStr(f"{hook.url}/{each[0]}")) for each in places}
    name = "ping-api-eu-prod"
    put(tmp_path, *(Letter("", "", place=place, run="1") for place in places), Letter("x", "body", name))
    settings = section(**{name: f"json://{hook.host}/notified"})
    assert delivered(settings, ObserverContext(tmp_path, environments=facts)) == ""
    paths = sorted(each.path.partition("?")[0] for each in hook.requests)
    assert paths == ["/api", "/api-eu", "/notified"]


def test_a_ping_that_failed_gives_way_to_a_newer_one_of_its_run(tmp_path: Path) -> None:
    with ApiServer(lambda _: ApiResponse(200 if server.requests else 503)) as server:
        facts = {("api", "production"): EnvironmentFacts("job", ping=SecretStr(f"{server.url}/check"))}
        context = ObserverContext(tmp_path, environments=facts)
        outbox = put(tmp_path, Letter("start", "", place=("api", "production"), run="1"))
        assert delivered(section(), context) == "ping of api production: status 503"
        outbox.put("1", Letter("", "", place=("api", "production"), run="1"))
        assert delivered(section(), context) == ""
        assert [each.path for each in server.requests] == ["/check/start?rid=1", "/check?rid=1"]


def test_who_never_answers_is_named_and_keeps_nobody_waiting(tmp_path: Path, hook: ApiServer) -> None:
    with ApiServer(lambda _: ApiResponse(hangs=True)) as server:
        urls = {"slow": f"json://{server.host}/?rto=1000", "hook": f"json://{hook.host}/"}
        settings = section(**urls).model_copy(update={"timeout": 5.0})
        put(tmp_path, Letter("a", "body", "slow"), Letter("b", "body", "hook"))
        assert delivered(settings, ObserverContext(tmp_path)) == "slow: no answer within 2 s"
        assert len(hook.requests) == 1
        brief = settings.model_copy(update={"timeout": 0.5})
        assert fraisier_notify.send_sample(brief, ["slow"]) == {"slow": "no answer within 0.5 s"}


def test_urls_that_apprise_cannot_use_are_named_without_them() -> None:
    urls = {
        "typo": f"mailto5://{SECRET}",
        "chat": f"slack://{SECRET}",
        "bus": f"mqtt://{SECRET}/topic",
        "good": f"json://{SECRET}",
    }
    settings = NotifySettings.model_validate({name: {"url": url} for name, url in urls.items()})
    found = fraisier_notify.warnings(settings)
    assert [*found] == ["typo.url", "chat.url", "bus.url"]
    assert "no service of this scheme" in found["typo.url"]
    assert "cannot read it" in found["chat.url"]
    assert found["bus.url"].startswith("Apprise lacks what this scheme needs: paho-mqtt")
    assert SECRET not in str(found)
