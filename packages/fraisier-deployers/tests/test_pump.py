import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fraisier_core import JobSettings, ProcessIdentity, Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pipelines import captured, python, run_pipeline
from fraisier_deployers.backup.pump import Flowed

from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
CONTENT = os.urandom(3 * 2**20 + 17)
WHOLE = Flowed(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
ZSTD = Stage(("zstd", "-q", "-c"))
UNZSTD = Stage(("zstd", "-q", "-d", "-c"))


def shell(script: str, *accepted: int) -> Stage:
    return Stage(("sh", "-c", script), accepted or (0,))


@pytest.fixture
def run(tmp_path: Path) -> FakeRun[JobSettings]:
    return FakeRun(JobSettings(), Release("", tmp_path, ""))


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return path


def test_what_flows_is_counted_hashed_and_written(run: FakeRun[JobSettings], content: Path) -> None:
    made = content.with_name("made")
    assert run_pipeline(run, Pipeline(input=str(content), output=str(made))) == WHOLE
    assert made.read_bytes() == CONTENT
    assert made.stat().st_mode & 0o777 == 0o600


def test_what_is_hashed_is_what_lies_in_the_output(run: FakeRun[JobSettings], content: Path) -> None:
    made = content.with_name("made")
    flowed = run_pipeline(run, Pipeline(str(content), before=(Stage(("cat",)), ZSTD), output=str(made)))
    assert flowed.sha256 == hashlib.sha256(made.read_bytes()).hexdigest()
    assert run_pipeline(run, Pipeline(str(made), before=(UNZSTD,), output=os.devnull)) == WHOLE


def test_it_feeds_commands(run: FakeRun[JobSettings], content: Path) -> None:
    made = content.with_name("made")
    stages = (ZSTD, Stage(("cat",)), UNZSTD)
    assert run_pipeline(run, Pipeline(str(content), after=stages, output=str(made))) == WHOLE
    assert made.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (
            Pipeline(before=(shell("echo no such table >&2; exit 3"), Stage(("cat",)))),
            "sh exited with status 3: no",
        ),
        (Pipeline(before=(shell("head -c 9999999 /dev/zero"), shell("exit 4"))), "sh exited with status 4"),
        (Pipeline("/dev/zero", after=(shell("exit 5"),)), "sh exited with status 5"),
        (Pipeline(before=(shell("kill -KILL $$"),)), "sh was killed by signal 9"),
        (Pipeline(before=(Stage(("no-such-program",)),)), "no-such-program cannot be started: No such file"),
        (Pipeline("/no/such/file"), "/no/such/file: No such file or directory"),
        (Pipeline("/dev/zero", output="/dev/full"), "/dev/full: No space left on device"),
        (
            Pipeline(before=(shell("exec cat /dev/zero"),), output="/dev/full"),
            "/dev/full: No space left on device",
        ),
    ],
)
def test_one_part_that_fails_fails_all_and_is_named(
    run: FakeRun[JobSettings], pipeline: Pipeline, message: str
) -> None:
    with pytest.raises(BackupError, match=f"^{message}"):
        run_pipeline(run, pipeline)


def test_another_exit_status_may_be_accepted(run: FakeRun[JobSettings], tmp_path: Path) -> None:
    pipeline = Pipeline(before=(shell("echo changed >&2; exit 1", 0, 1),), output=str(tmp_path / "made"))
    assert run_pipeline(run, pipeline).size == 0
    assert "changed" in run.output


def test_a_pump_that_is_killed_is_a_failure(run: FakeRun[JobSettings]) -> None:
    with pytest.raises(BackupError, match=r"status -9: last words"):
        run_pipeline(run, Pipeline(before=(shell("echo last words >&2; kill -KILL $PPID"),)))


RUNNING = (sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])")


@pytest.mark.parametrize("by", [(), RUNNING], ids=["pump", "who runs it"])
def test_a_pump_that_is_killed_or_who_runs_it_leaves_no_command(tmp_path: Path, by: tuple[str, ...]) -> None:
    mark = tmp_path / "began"
    pipeline = Pipeline(before=(shell(f"echo $$ > {mark}; exec sleep 60"),), output=os.devnull)
    process = subprocess.Popen([*by, *python("fraisier_deployers.backup.pump"), *pipeline.words()])
    wait_until(lambda: mark.exists() and mark.read_text().strip())
    command = ProcessIdentity.of(int(mark.read_text()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not command.is_alive())


def test_secrets_come_by_the_environment_and_all_that_is_printed_is_returned(
    run: FakeRun[JobSettings],
) -> None:
    printed = captured(
        run, ("sh", "-c", 'echo warned >&2; yes "$SECRET" | head -n 9999'), {"SECRET": "s3cr3t"}
    )
    assert printed == b"s3cr3t\n" * 9999
    assert not any("s3cr3t" in argument for argv in run.commands for argument in argv)


@pytest.mark.parametrize(
    "pipeline",
    [
        Pipeline(output="/o"),
        Pipeline(
            "/i",
            before=(Stage(("a", "|", "#", "")),),
            after=(Stage(("b", ">", "?1", "\\x"), (0, 1)),),
            output="/o",
        ),
        Pipeline(before=(Stage(("tar", "<"), (0, 1)), ZSTD)),
    ],
)
def test_a_pipeline_is_read_as_it_was_written(pipeline: Pipeline) -> None:
    assert Pipeline.parse(pipeline.words()) == pipeline


def test_a_pipeline_is_written_as_it_would_be_typed() -> None:
    assert (
        " ".join(Pipeline("/i", (ZSTD,), (UNZSTD,), "/o").words())
        == "< /i | zstd -q -c | # | zstd -q -d -c > /o"
    )


def test_it_imports_little() -> None:
    listed = "import sys, fraisier_deployers.backup.pump; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-I", "-c", listed], text=True).split()
    assert not {"pydantic", "pluggy", "asyncio", "fraisier_core.run"} & set(loaded)
