import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fraisier_core import Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup.age import IDENTITY_VARIABLE
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings, EncryptSection
from fraisier_deployers.backup.copies import copy, fetched
from fraisier_deployers.backup.encrypting import require_encryption
from fraisier_deployers.backup.local_place import LocalPlace, hashed
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.pipelines import python
from fraisier_deployers.backup.verified_copies import verify

from tests.manifests import manifest_of, night
from tests.ssh_server import make_key

pyrage = pytest.importorskip("pyrage", reason="pyrage is not installed")
CONTENT = os.urandom(200_000)
KEY = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()


@pytest.fixture
def run(tmp_path: Path) -> FakeRun[BackupSettings]:
    section = {"source": {"command": ["true"]}, "path": str(tmp_path / "local")}
    return FakeRun(BackupSettings.model_validate(section), Release("", tmp_path, ""))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "made"
    file.write_bytes(CONTENT)
    return file


def section_for(key: object = KEY, identity: object = KEY) -> EncryptSection:
    recipient = key if isinstance(key, str) else str(getattr(key, "to_public", lambda: key)())
    return EncryptSection(recipients=(recipient,), identity=str(identity) if identity else None)


def stored_copy(
    run: FakeRun[BackupSettings], file: Path, section: EncryptSection
) -> tuple[LocalPlace, Manifest]:
    manifest = manifest_of(CONTENT, night(1))
    place = LocalPlace(file.parent / "elsewhere")
    return place, copy(place, file, manifest, section, folder=file.parent, runner=run)


def test_a_copy_is_encrypted_and_comes_back_as_it_was(run: FakeRun[BackupSettings], file: Path) -> None:
    section = section_for()
    place, manifest = stored_copy(run, file, section)
    assert manifest.file.endswith(".bin.age")
    assert manifest.encrypted
    verify(place, manifest)
    assert CONTENT[:100] not in (place.folder / manifest.file).read_bytes()
    assert fetched(place, manifest, section, folder=file.parent, runner=run).read_bytes() == CONTENT
    assert not list(file.parent.glob(".*"))


def test_the_program_age_reads_it(run: FakeRun[BackupSettings], file: Path) -> None:
    if shutil.which("age") is None:
        pytest.skip("age is not installed")
    place, manifest = stored_copy(run, file, section_for())
    key = file.with_name("key")
    key.write_text(str(KEY))
    command = ["age", "--decrypt", "--identity", str(key), str(place.folder / manifest.file)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == CONTENT


def test_keys_of_ssh_are_taken(run: FakeRun[BackupSettings], file: Path) -> None:
    key = file.with_name("key")
    make_key(key)
    section = section_for(key.with_suffix(".pub").read_text().strip(), key.read_text())
    require_encryption(section)
    place, manifest = stored_copy(run, file, section)
    assert fetched(place, manifest, section, folder=file.parent, runner=run).read_bytes() == CONTENT


def test_a_copy_that_is_damaged_is_caught(run: FakeRun[BackupSettings], file: Path) -> None:
    section = section_for()
    place, manifest = stored_copy(run, file, section)
    path = place.folder / manifest.file
    content = bytearray(path.read_bytes())
    content[100_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(BackupError, match="is damaged"):
        fetched(place, manifest, section, folder=file.parent, runner=run)
    found = hashed(path)
    lying = manifest.model_copy(update={"size": found.size, "sha256": found.sha256})
    with pytest.raises(BackupError, match=r"\.age cannot be decrypted: .*"):
        fetched(place, lying, section, folder=file.parent, runner=run)


def test_what_is_not_as_it_was_backed_up_is_not_copied(run: FakeRun[BackupSettings], file: Path) -> None:
    file.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(BackupError, match="made is damaged: it is not what was backed up"):
        stored_copy(run, file, section_for())
    assert not [*file.parent.glob("elsewhere/*")]


def test_a_copy_of_another_file_is_caught_though_it_can_be_decrypted(
    run: FakeRun[BackupSettings], file: Path
) -> None:
    section = section_for()
    place, manifest = stored_copy(run, file, section)
    other = manifest.model_copy(update={"plain_sha256": "0" * 64})
    with pytest.raises(BackupError, match="holds another file than was backed up"):
        fetched(place, other, section, folder=file.parent, runner=run)


def test_the_key_of_another_opens_nothing(run: FakeRun[BackupSettings], file: Path) -> None:
    place, manifest = stored_copy(run, file, section_for())
    with pytest.raises(BackupError, match="No matching keys found") as raised:
        fetched(place, manifest, section_for(identity=OTHER), folder=file.parent, runner=run)
    assert str(OTHER) not in str(raised.value)


def test_without_a_secret_key_it_says_so(run: FakeRun[BackupSettings], file: Path) -> None:
    place, manifest = stored_copy(run, file, section_for(identity=None))
    with pytest.raises(BackupError, match=r"is encrypted: set encrypt\.identity"):
        fetched(place, manifest, section_for(identity=None), folder=file.parent, runner=run)


def test_the_secret_key_is_in_no_command_and_no_output(run: FakeRun[BackupSettings], file: Path) -> None:
    section = section_for()
    place, manifest = stored_copy(run, file, section)
    fetched(place, manifest, section, folder=file.parent, runner=run)
    assert run.commands
    assert str(KEY) not in f"{run.commands} {run.output}"


@pytest.mark.parametrize(
    ("section", "why"),
    [
        (section_for("age1nonsense"), "encrypt.recipients: number 1 is no public key"),
        (section_for(identity="AGE-SECRET-KEY-1NONSENSE"), "encrypt.identity is no secret key"),
        (section_for(identity=OTHER), "encrypt.identity is the secret key of none of encrypt.recipients"),
    ],
)
def test_what_is_no_key_is_refused_before_anything_is_done(section: EncryptSection, why: str) -> None:
    with pytest.raises(BackupError, match=why) as raised:
        require_encryption(section)
    assert "SECRET-KEY-1NONSENSE" not in str(raised.value)


def test_without_pyrage_it_names_what_to_install() -> None:
    script = (
        "import sys; sys.modules['pyrage'] = None\n"
        "from fraisier_deployers.backup.backup_settings import EncryptSection\n"
        "from fraisier_deployers.backup.encrypting import require_encryption\n"
        "require_encryption(EncryptSection(recipients=('age1x',)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "BackupError: encrypt needs the library pyrage: pip install pyrage" in done.stderr


@pytest.mark.parametrize("direction", ["encrypt", "decrypt"])
def test_its_memory_does_not_grow_with_the_size(direction: str, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(200 * 2**20)
    arguments = [direction]
    if direction == "encrypt":
        arguments.append(str(KEY.to_public()))
    else:
        pyrage.encrypt_file(str(big), str(tmp_path / "big.age"), [KEY.to_public()])
        big = tmp_path / "big.age"
    with big.open("rb") as file:
        environment = {**os.environ, IDENTITY_VARIABLE: str(KEY)}
        process = subprocess.Popen(
            python("fraisier_deployers.backup.age", *arguments),
            stdin=file,
            stdout=subprocess.DEVNULL,
            env=environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss < 120 * 1024  # with that of this process, before it became another
