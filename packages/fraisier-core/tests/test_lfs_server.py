"""Git LFS over http, as forges have it: the server asks who is there, and its answer leads to the files."""

import base64
import contextlib
import http.server
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from fraisier_core.errors import GitUnreachableError
from fraisier_core.git.access import Access, Credential, Login
from fraisier_core.testing.serving_threads import serving_in_thread

from tests.origins import Origin, mirror_of

pytestmark = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
ANSWER = f"Basic {base64.b64encode(b'ada:hunter2-hunter2').decode()}"
TEXT = "large\n" * 500


@dataclass
class LfsServer:
    """A server of repositories and of their large files; `folder` holds both."""

    folder: Path
    port: int = 0
    asked: list[str] = field(default_factory=list)
    answers: set[str | None] = field(default_factory=set)

    @property
    def place(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers for one server."""

    lfs: ClassVar[LfsServer]

    def __init__(self, *args: object) -> None:
        super().__init__(*args, directory=str(self.lfs.folder))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if not self.path.startswith("/api/.git/lfs/objects/") and not self.known():
            return
        super().do_GET()

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.known():
            return
        self.lfs.asked.append(self.path)
        found = [self.found(each["oid"], each["size"]) for each in request["objects"]]
        body = json.dumps({"transfer": "basic", "objects": found}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.git-lfs+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def found(self, oid: str, size: int) -> dict[str, object]:
        href = f"{self.lfs.place}/api/.git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}"
        return {"oid": oid, "size": size, "actions": {"download": {"href": href}}}

    def known(self) -> bool:
        self.lfs.answers.add(self.headers.get("Authorization"))
        if self.headers.get("Authorization") == ANSWER:
            return True
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="forge"')
        self.send_header("LFS-Authenticate", 'Basic realm="forge"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def serving(server: LfsServer) -> Iterator[LfsServer]:
    handler = type("Bound", (Handler,), {"lfs": server})
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.port = listening.server_address[1]
    with serving_in_thread(listening):
        yield server


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    (tmp_path / "git").mkdir()
    origin = Origin(tmp_path / "git/api")
    for key, value in (("clean", "git-lfs clean -- %f"), ("required", "true")):
        origin.git("config", f"filter.lfs.{key}", value)
    return origin


def commit(origin: Origin, **files: str) -> str:
    made = origin.commit(**{".gitattributes": "*.bin filter=lfs -text\n", "large.bin": TEXT}, **files)
    origin.git("update-server-info")
    return made


def exported(url: str, commit: str, tmp_path: Path, *places: str) -> str:
    access = Access((Credential(frozenset(places), Login("ada", "hunter2-hunter2")),))
    mirror = mirror_of(url, tmp_path, access=access)
    mirror.fetch()
    mirror.export(commit, tmp_path / "out")
    return (tmp_path / "out/large.bin").read_text()


def test_large_files_come_from_the_place_of_the_repository(origin: Origin, tmp_path: Path) -> None:
    made = commit(origin)
    with serving(LfsServer(origin.path.parent)) as server:
        assert exported(f"{server.place}/api/.git", made, tmp_path, server.place) == TEXT
    assert server.asked == ["/api/.git/info/lfs/objects/batch"]
    files = [path for path in (tmp_path / "mirrors").rglob("*") if path.is_file()]
    assert not [
        path for path in files if b"hunter2" in path.read_bytes() or ANSWER.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("listed", [True, False])
def test_a_login_is_answered_for_large_files_elsewhere_if_they_are_listed(
    origin: Origin, tmp_path: Path, listed: bool
) -> None:
    with serving(LfsServer(origin.path.parent)) as server, serving(LfsServer(origin.path.parent)) as other:
        made = commit(origin, **{".lfsconfig": f"[lfs]\n\turl = {other.place}/api/.git/info/lfs\n"})
        places = [server.place, *([other.place] if listed else [])]
        if listed:
            assert exported(f"{server.place}/api/.git", made, tmp_path, *places) == TEXT
        else:
            with pytest.raises(GitUnreachableError):
                exported(f"{server.place}/api/.git", made, tmp_path, *places)
    assert not server.asked
    assert other.answers == ({None, ANSWER} if listed else {None})
