import contextlib
import hashlib
import http.server
import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier_core.errors import (
    AppPathRefusedError,
    CancelledError,
    CommitGoneError,
    GitUnreachableError,
    StepFailedError,
)
from fraisier_core.git.contents import Contents
from fraisier_core.git.local import checked_ref
from fraisier_core.git.mirrors import Mirror
from fraisier_core.testing.serving_threads import serving_in_thread

from tests.origins import FACTS, Origin, mirror_of
from tests.users import as_root


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def mirror(origin: Origin, tmp_path: Path) -> Mirror:
    return mirror_of(str(origin.path), tmp_path)


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


def test_a_mirror_follows_its_remote(origin: Origin, mirror: Mirror) -> None:
    first = origin.commit(a="1")
    origin.git("tag", "v1")
    origin.git("branch", "other/one")
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == first
    assert mirror.resolve_ref("refs/heads/other/one") == first
    second = origin.commit(a="2")
    origin.git("branch", "-D", "other/one")
    origin.git("branch", "other")
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == mirror.resolve_ref("refs/heads/other") == second
    with pytest.raises(CommitGoneError, match='has no refs/heads/other/one; did you mean "other"\\?'):
        mirror.resolve_ref("refs/heads/other/one")
    assert names(mirror.path.parent) == {"api.git", "api.git.lock"}


def test_a_force_push_is_followed_and_its_victim_said_to_be_gone(origin: Origin, mirror: Mirror) -> None:
    origin.commit(a="1")
    victim = origin.commit(a="2")
    origin.git("reset", "-q", "--hard", "HEAD~")
    newest = origin.commit(a="3")
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == newest
    mirror.require(newest)
    with pytest.raises(CommitGoneError, match=f"ref_gone: commit {victim} is not in"):
        mirror.require(victim)


def test_a_commit_is_found_by_its_beginning(origin: Origin, mirror: Mirror) -> None:
    commit = origin.commit(a="1")
    origin.git("branch", commit[:6])
    origin.git("branch", "beef")
    mirror.fetch()
    assert mirror.resolve_commit(commit) == commit
    assert mirror.resolve_commit(commit[:9].upper()) == commit
    for text in ("beef", "0" * 40, "HEAD", "main", "-h", "--all", "", "abc", f"{commit}\n"):
        with pytest.raises(CommitGoneError, match="ref_gone"):
            mirror.resolve_commit(text)


@pytest.mark.parametrize("kind", ["branch", "tag"])
@pytest.mark.parametrize("digits", [4, 7, 12])
def test_a_name_that_looks_like_the_beginning_of_a_commit_is_none(
    origin: Origin, mirror: Mirror, kind: str, digits: int
) -> None:
    wanted = origin.commit(a="1")
    short = wanted[:digits]
    origin.git(kind, short, origin.commit(a="2"))
    mirror.fetch()
    assert mirror.resolve_commit(short) == wanted


def test_a_branch_does_not_decide_which_of_two_commits_is_meant(origin: Origin, mirror: Mirror) -> None:
    short = origin.commit(a="1")[:4]
    tree = origin.git("rev-parse", "HEAD^{tree}")
    for number in itertools.count():
        facts = FACTS.replace(b"Ada ", f"Ada{number} ".encode())
        raw = b"tree " + tree.encode() + b"\n" + facts + b"\nimported\n"
        if hashlib.sha1(b"commit %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest().startswith(short):
            break
    other = origin.write_commit(tree, short, facts)
    assert other.startswith(short)
    mirror.fetch()
    with pytest.raises(CommitGoneError, match="ambiguous"):
        mirror.resolve_commit(short)


@pytest.mark.parametrize("name", ["$(id)", "a b", "x\x1b[31m", "other", "../v1"])
def test_a_description_is_made_of_the_name_of_a_tag_that_is_here(
    origin: Origin, mirror: Mirror, name: str
) -> None:
    commit = origin.commit(a="1")
    text = f"object {commit}\ntype commit\ntag {name}\ntagger A <a@b> 1262356920 +0000\n\nx\n"
    tag = origin.write("tag", text.encode())
    (origin.path / ".git/refs/tags/v1").write_text(f"{tag}\n")
    mirror.fetch()
    described = mirror.describe(commit)
    assert len(described) >= 4
    assert commit.startswith(described)


@pytest.mark.parametrize("name", ["v1\u202e", "v1\x9b", "v1\u2028"])
def test_a_description_holds_no_name_that_cannot_be_shown(origin: Origin, mirror: Mirror, name: str) -> None:
    commit = origin.commit(a="1")
    origin.git("tag", name)
    mirror.fetch()
    assert commit.startswith(mirror.describe(commit))


def test_a_description_counts_the_commits_since_a_tag(origin: Origin, mirror: Mirror) -> None:
    origin.git("tag", "v1-rc-2", first := origin.commit(a="1"))
    second = origin.commit(a="2")
    mirror.fetch()
    assert mirror.describe(first) == "v1-rc-2"
    assert mirror.describe(second) == f"v1-rc-2-1-g{second[:7]}"


@pytest.mark.parametrize("attributes", ["* text eol=crlf", "a ident", "* working-tree-encoding=UTF-16"])
def test_the_attributes_of_the_user_count_for_nothing(
    origin: Origin,
    mirror: Mirror,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attributes: str,
) -> None:
    commit = origin.commit(a="$Id$\n")
    folder = tmp_path / "user/.config/git"
    folder.mkdir(parents=True)
    (folder / "attributes").write_text(f"{attributes}\n")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    mirror.fetch()
    mirror.export(commit, tmp_path / "out")
    assert (tmp_path / "out/a").read_bytes() == b"$Id$\n"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "--upload-pack=id",
            "-x",
            "",
            "a..b",
            "a b",
            "a\nb",
            "a\n",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
        ),
        *("/a", "a/", "a//b", "a.lock", "a.lock/b", "a/.b", ".a", "a.", "a@{1}", "a\0b", "x" * 300),
    ],
)
def test_a_name_that_no_branch_should_have_is_refused(name: str) -> None:
    with pytest.raises(CommitGoneError, match="not the name of a branch"):
        checked_ref(f"refs/heads/{name}")


@pytest.mark.parametrize(
    "name",
    [
        *("main", "release/1.0", "feature/JIRA-1_x", "dependabot/npm/@scope/a-1", "a+b#3", "@", "x" * 240),
        *(
            "fix/\u00fcberschrift",
            "\u4fee\u590d",
            "fix(api)!",
            "a,b;c",
            "user's",
            "100%",
            "a&b|c",
            "#12",
            "$(id)",
            "a{b}",
        ),
    ],
)
def test_ordinary_branch_names_are_accepted(name: str) -> None:
    assert checked_ref(f"refs/heads/{name}") == f"refs/heads/{name}"
    subprocess.run(["git", "check-ref-format", checked_ref(f"refs/heads/{name}")], check=True)


def test_a_release_is_the_whole_tree_with_the_modes_of_a_checkout(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    (origin.path / "build.sh").write_text("#!/bin/sh\n")
    (origin.path / "build.sh").chmod(0o755)
    (origin.path / "link").symlink_to("a")
    commit = origin.commit(a="1", deep__b="2", tests__c="3", **{".gitattributes": "tests export-ignore\n"})
    mirror.fetch()
    mirror.export(commit, tmp_path / "out")
    assert names(tmp_path / "out") == {".gitattributes", "a", "build.sh", "deep", "link", "tests"}
    assert (tmp_path / "out/build.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/deep").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/a").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "out/a").stat().st_uid == os.geteuid()


def test_what_is_exported_is_what_was_committed(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    text = "signed: $Format:%G?$\n"  # which git would run gpg for
    commit = origin.commit(version=text, **{".gitattributes": "version export-subst\n"})
    mirror.fetch()
    mirror.export(commit, tmp_path / "out")
    assert (tmp_path / "out/version").read_text() == text


def test_nothing_of_the_repository_runs(origin: Origin, tmp_path: Path) -> None:
    mirror = mirror_of(str(origin.path), tmp_path, contents=Contents(ignore_filters=frozenset({"evil"})))
    subprocess.run(
        ["git", "-C", origin.path, "config", "filter.evil.smudge", f"touch {tmp_path}/ran"], check=True
    )
    commit = origin.commit(
        a="1",
        **{
            ".gitattributes": "* filter=evil\n",
            ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::touch\n',
            "hooks__post-checkout": f"#!/bin/sh\ntouch {tmp_path}/ran\n",
        },
    )
    mirror.fetch()
    (mirror.path / "hooks").mkdir(exist_ok=True)
    hook = mirror.path / "hooks/reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    origin.commit(a="2")
    mirror.fetch()
    mirror.export(commit, tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "1"
    assert not (tmp_path / "ran").exists()


def test_an_export_goes_nowhere_but_into_an_empty_directory(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    commit = origin.commit(a="1")
    mirror.fetch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for target in ("full", "full/file", "link"):
        with pytest.raises(AppPathRefusedError, match="in the way"):
            mirror.export(commit, tmp_path / target)
    mirror.export(commit, tmp_path / "empty")


def test_files_that_cannot_be_written_fail_the_export(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    commit = origin.commit(a="1" * 5000)
    mirror.fetch()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, unlimited[1]))
    try:
        with pytest.raises(StepFailedError, match="cannot be written"):
            mirror.export(commit, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


def test_ancestors_are_told_and_what_is_unknown_is_not(origin: Origin, mirror: Mirror) -> None:
    first, second = origin.commit(a="1"), origin.commit(a="2")
    mirror.fetch()
    assert mirror.is_ancestor(first, second) is True
    assert mirror.is_ancestor(second, first) is False
    assert mirror.is_ancestor("0" * 40, first) is None


def test_proper_descendants_are_the_known_candidates_that_come_after(origin: Origin, mirror: Mirror) -> None:
    first = origin.commit(a="1")
    origin.git("checkout", "-q", "-b", "side")
    side = origin.commit(b="1")
    origin.git("checkout", "-q", "main")
    second, third = origin.commit(a="2"), origin.commit(a="3")
    mirror.fetch()
    unknown = "0" * 40
    assert mirror.proper_descendants(second, [first, side, second, third, unknown]) == [third]
    assert mirror.proper_descendants(first, [third, side]) == [third, side]
    assert mirror.proper_descendants(third, [first, second, side, third]) == []
    assert mirror.proper_descendants(unknown, [first]) == []
    assert mirror.proper_descendants(first, []) == []


def test_changed_paths_are_matched_by_directory_and_glob(origin: Origin, mirror: Mirror) -> None:
    old = origin.commit(api__app="1", web__deep__page="1")
    new = origin.commit(web__deep__page="2")
    mirror.fetch()
    assert not mirror.has_changes(old, new, ["api"])
    assert mirror.has_changes(old, new, ["api", "web"])
    assert mirror.has_changes(old, new, ["web/**"])
    assert not mirror.has_changes(old, new, ["web/*"])
    assert not mirror.has_changes(old, old, ["web"])
    assert mirror.has_changes("0" * 40, new, ["api"])
    assert not mirror.has_changes(old, new, ["web", ":(exclude)web/deep"])
    assert not mirror.has_changes(old, new, [":(exclude)web"])
    assert mirror.has_changes(old, new, [":(exclude)api"])
    assert mirror.has_changes(old, new, ["web/**", ":(exclude)web/*"])


def test_a_remote_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(
        GitUnreachableError, match=r"git_unreachable: .*/nowhere cannot be fetched: .*nowhere"
    ):
        mirror_of(str(tmp_path / "nowhere"), tmp_path).fetch()
    assert not (tmp_path / "mirrors/api.git.fetching").exists()


def test_a_refused_connection_is_unreachable_and_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(GitUnreachableError, match=f"git_unreachable: .*127.0.0.1:{port}") as caught:
        mirror_of(f"http://me:hunter22@127.0.0.1:{port}/api.git", tmp_path).fetch()
    assert "hunter22" not in str(caught.value)


def test_a_remote_that_swallows_everything_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as blackhole:
        url = f"http://127.0.0.1:{blackhole.getsockname()[1]}/api.git"
        with pytest.raises(GitUnreachableError, match=r"printed nothing for 0\.2 s \(silence_timeout\)"):
            mirror_of(url, tmp_path, silence=0.2).fetch()
        with pytest.raises(GitUnreachableError, match=r"timed out after 0\.\d+ s \(timeout\)"):
            mirror_of(url, tmp_path, wall=0.2).fetch()


def test_a_fetch_is_cancelled(tmp_path: Path) -> None:
    cancelled = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as blackhole:
        url = f"http://127.0.0.1:{blackhole.getsockname()[1]}/api.git"
        threading.Timer(0.1, cancelled.set).start()
        with pytest.raises(CancelledError):
            mirror_of(url, tmp_path, cancelled=cancelled).fetch()


@contextlib.contextmanager
def http_origin(origin: Origin, login: str | None) -> Iterator[tuple[str, list[str]]]:
    """Serve a repository, if there is a login to whoever logs in; yields `host:port` and the command lines
    seen meanwhile.
    """
    seen: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(origin.path.parent))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.append(process.read_bytes().decode("utf-8", "replace"))
            if login is not None and self.headers.get("Authorization") != login:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="forge"')
                self.end_headers()
                return
            super().do_GET()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving_in_thread(server):
        yield f"127.0.0.1:{server.server_address[1]}", seen


def test_credentials_reach_the_remote_and_nothing_else(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit(a="1")
    origin.git("update-server-info")
    with http_origin(origin, "Basic bWU6aHVudGVyMjI=") as (host, seen):
        mirror = mirror_of(f"http://me:hunter22@{host}/origin/.git", tmp_path)
        mirror.fetch()
        assert mirror.resolve_ref("refs/heads/main") == commit
        with pytest.raises(GitUnreachableError, match="refuses these credentials") as caught:
            mirror_of(f"http://me:wrong-pw@{host}/origin/.git", tmp_path).fetch()
    assert "wrong-pw" not in str(caught.value)
    assert any("fetch" in line and host in line for line in seen)
    secrets = ("hunter22", "bWU6aHVudGVyMjI", "wrong-pw")
    assert not [line for line in seen if "fetch" in line and any(secret in line for secret in secrets)]
    for file in mirror.path.parent.rglob("*"):
        assert not file.is_file() or b"hunter22" not in file.read_bytes()


def test_the_environment_cannot_lead_git_astray(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = origin.commit(a="1")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=x'")
    mirror = mirror_of(str(origin.path), tmp_path)
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == commit


SCRIPT = """
import sys, threading
from pathlib import Path
from fraisier_core.git.mirrors import Mirror
mirror = Mirror(Path(sys.argv[1]), sys.argv[2], threading.Event())
mirror.fetch()
if sys.argv[3:]:
    mirror.export(mirror.resolve_ref("refs/heads/main"), Path(sys.argv[3]))
"""


def killed(point: str, *arguments: object) -> None:
    argv = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    done = subprocess.run(argv, env={**os.environ, "FRAISIER_FAILPOINT": f"{point}:kill"}, check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_kill_in_a_fetch_leaves_a_mirror_that_the_next_fetch_repairs(
    origin: Origin, mirror: Mirror
) -> None:
    origin.commit(a="1")
    mirror.fetch()
    commit = origin.commit(a="2")
    killed("fetch", mirror.path, origin.path)
    (mirror.path / "packed-refs.lock").write_text("")
    (mirror.path / "refs/heads/main.lock").write_text("")
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == commit


def test_a_kill_in_the_first_fetch_is_repaired_too(origin: Origin, mirror: Mirror) -> None:
    commit = origin.commit(a="1")
    killed("fetch", mirror.path, origin.path)
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == commit


def test_a_kill_while_the_mirror_is_being_made_is_repaired_too(origin: Origin, mirror: Mirror) -> None:
    commit = origin.commit(a="1")
    mirror.path.mkdir(parents=True)
    (mirror.path / "HEAD").write_text("")
    mirror.path.with_name("api.git.fetching").write_text("fetching")
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == commit


def test_a_kill_in_an_export_does_no_harm_to_the_next_one(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    commit = origin.commit(a="1")
    killed("export", mirror.path, origin.path, tmp_path / "half")
    mirror.fetch()
    mirror.export(commit, tmp_path / "whole")
    assert (tmp_path / "whole/a").read_text() == "1"


def damage(mirror: Mirror) -> None:
    for file in mirror.path.glob("objects/**/*"):
        if file.is_file() and file.suffix != ".idx":
            file.chmod(0o644)
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("server", ["path", "file", "http"])
def test_a_repository_of_sha256_ids_has_a_mirror_of_them(tmp_path: Path, server: str) -> None:
    origin = Origin(tmp_path / "origin", "sha256")
    commit = origin.commit(a="1")
    origin.git("update-server-info")
    with http_origin(origin, None) as (host, _):
        urls = {"path": str(origin.path), "file": origin.path.as_uri(), "http": f"http://{host}/origin/.git"}
        mirror = mirror_of(urls[server], tmp_path)
        mirror.fetch()
    assert len(commit) == 64
    assert mirror.resolve_ref("refs/heads/main") == commit
    assert (
        mirror.require(commit) == mirror.require(commit[:40]) == mirror.resolve_commit(commit[:9]) == commit
    )
    mirror.export(commit, tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "1"


def test_a_repository_that_is_made_anew_in_another_format_is_followed(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    origin.commit(a="1")
    mirror.fetch()
    origin.path.rename(tmp_path / "before")
    commit = Origin(origin.path, "sha256").commit(a="2")
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == commit


def test_an_empty_repository_is_fetched_and_followed(origin: Origin, mirror: Mirror) -> None:
    mirror.fetch()
    with pytest.raises(CommitGoneError, match="has no refs/heads/main"):
        mirror.resolve_ref("refs/heads/main")
    commit = origin.commit(a="1")
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == commit


OLD_AUTHORS = {
    "no date": b"Ada <ada@example.com>",
    "no space before the date": b"Ada <ada@example.com>1262356920 +0000",
    "no space before the address": b"Ada<ada@example.com> 1262356920 +0000",
    "no address": b"Ada 1262356920 +0000",
    "no name": b"<ada@example.com> 1262356920 +0000",
    "a date that begins with 0": b"Ada <ada@example.com> 01262356920 +0000",
    "a date that no clock shows": b"Ada <ada@example.com> 99999999999999999999 +0000",
    "a time zone that is none": b"Ada <ada@example.com> 1262356920 +051800",
    "an address within an address": b"Ada <<ada@example.com>> 1262356920 +0000",
}


@pytest.mark.parametrize("author", OLD_AUTHORS.values(), ids=OLD_AUTHORS)
@pytest.mark.parametrize("branch", ["main", "old"])
def test_faults_of_old_tools_are_deployed_as_git_clones_them(
    origin: Origin, mirror: Mirror, tmp_path: Path, author: bytes, branch: str
) -> None:
    origin.commit(a="1")
    committer = b"committer Ada <ada@example.com> 1262356920 +0000\n"
    tree = origin.git("rev-parse", "HEAD^{tree}")
    origin.write_commit(tree, branch, b"author " + author + b"\n" + committer)
    mirror.fetch()
    mirror.export(mirror.resolve_ref("refs/heads/main"), tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "1"


def evil_trees(origin: Origin) -> dict[str, str]:
    blob = origin.write("blob", b"[core]\nfsmonitor = touch ran\n")
    inner = origin.write_tree(("100644", "config", blob))
    link = origin.write("blob", b"/etc")
    return {
        "a .git": origin.write_tree(("40000", ".git", inner)),
        "a .GIT": origin.write_tree(("40000", ".GIT", inner)),
        "a .git that is a file": origin.write_tree(("100644", ".git", blob)),
        "a .git below": origin.write_tree(("40000", "lib", origin.write_tree(("40000", ".git", inner)))),
        "a way out": origin.write_tree(("40000", "..", inner)),
        "a path in a name": origin.write_tree(("100644", "../out/a", blob)),
        "an absolute name": origin.write_tree(("100644", "/tmp/a", blob)),
        "the directory itself": origin.write_tree(("40000", ".", inner)),
        "a .gitmodules that is a link": origin.write_tree(("120000", ".gitmodules", link)),
    }


def test_a_tree_that_could_hurt_is_refused_where_it_would_be_written_and_nowhere_else(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    good = origin.commit(a="1")
    for number, (what, tree) in enumerate(evil_trees(origin).items()):
        evil = origin.write_commit(tree, "other")
        mirror.fetch()
        with pytest.raises(StepFailedError, match="refuses to check out: error: invalid path"):
            mirror.export(evil, tmp_path / f"evil{number}")
        assert not list((tmp_path / f"evil{number}").rglob("*")), what
        mirror.export(good, tmp_path / f"good{number}")


UNREADABLE = {
    "a tree with an empty name": ("tree", b"100644 \0" + b"1" * 20),
    "a tree that is cut off": ("tree", b"100644 a\0" + b"1" * 3),
    "a commit of no tree": ("commit", b"tree\n"),
    "a commit whose tree is missing": ("commit", b"tree " + b"1" * 40 + b"\n" + FACTS + b"\nx\n"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_git_cannot_read_of_another_branch_keeps_this_one_from_nothing(
    origin: Origin, mirror: Mirror, tmp_path: Path, kind: str
) -> None:
    made = origin.write(*UNREADABLE[kind])
    if kind.startswith("a tree"):
        made = origin.write_commit(made, "other")
    (origin.path / ".git/refs/heads/other").write_text(f"{made}\n")
    for number in "12":
        good = origin.commit(a=number)
        mirror.fetch("refs/heads/main")
        mirror.export(good, tmp_path / f"out{number}")
        assert (tmp_path / f"out{number}/a").read_text() == number


def test_a_tree_that_names_a_file_twice_is_deployed_as_git_clones_it(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    blob = origin.write("blob", b"1")
    commit = origin.write_commit(origin.write_tree(("100644", "a", blob), ("100644", "a", blob)), "main")
    mirror.fetch()
    mirror.export(commit, tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "1"


@as_root
@pytest.mark.parametrize("address", ["{path}", "{path}/.git", "file://{path}", "{link}", "{path}/"])
def test_a_local_repository_of_another_user_is_fetched(origin: Origin, tmp_path: Path, address: str) -> None:
    commit = origin.commit(a="1")
    (tmp_path / "link").symlink_to(origin.path)
    subprocess.run(["chown", "-R", "12345", origin.path], check=True)
    mirror = mirror_of(address.format(path=origin.path, link=tmp_path / "link"), tmp_path)
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == commit


@as_root
@pytest.mark.parametrize("way", ["alternates", "objects/pack", "refs/heads/stolen", "objects", "packed-refs"])
def test_a_local_repository_of_another_user_leads_to_no_other_files(
    origin: Origin, tmp_path: Path, way: str
) -> None:
    secret, bare = Origin(tmp_path / "secret"), tmp_path / "forge.git"
    secret.commit(secret="s3cret")
    origin.commit(a="1")
    subprocess.run(["git", "clone", "-q", "--bare", str(origin.path), str(bare)], check=True)
    if way == "alternates":
        (bare / "objects/info/alternates").write_text(f"{secret.path}/.git/objects\n")
    else:
        if (bare / way).exists():
            (bare / way).rename(tmp_path / "away")
        (bare / way).symlink_to(secret.path / ".git" / way)
    subprocess.run(["chown", "-R", "-h", "12345", str(bare)], check=True)
    with pytest.raises(StepFailedError, match=r"belongs to another user, and .* leads to files"):
        mirror_of(str(bare), tmp_path).fetch()


def test_a_repository_that_turns_shallow_is_refused_as_such(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    origin.commit(a="1")
    mirror.fetch()
    newest = [origin.commit(a=text) for text in "456"][-1]
    origin.path.rename(tmp_path / "whole")
    whole = (tmp_path / "whole").as_uri()
    subprocess.run(["git", "clone", "-q", "--depth=1", whole, str(origin.path)], check=True)
    with pytest.raises(GitUnreachableError, match=r"shallow.*; the repository: .*--unshallow"):
        mirror.fetch()
    origin.git("fetch", "-q", "--unshallow")
    mirror.fetch()
    assert mirror.resolve_ref("refs/heads/main") == newest


def test_a_damaged_repository_is_told_from_a_damaged_mirror(origin: Origin, mirror: Mirror) -> None:
    origin.commit(a="1")
    mirror.fetch()
    good = mirror.resolve_ref("refs/heads/main")
    origin.commit(b="2" * 5000)
    blob = origin.git("rev-parse", "HEAD:b")
    file = origin.path / ".git/objects" / blob[:2] / blob[2:]
    file.chmod(0o644)
    file.write_bytes(b"garbage")
    with pytest.raises(GitUnreachableError, match="the repository: it is damaged") as caught:
        mirror.fetch()
    assert blob in caught.value.output
    assert mirror.require(good) == good  # the mirror is as it was


def test_a_branch_that_its_repository_cannot_read_keeps_no_other_from_being_deployed(
    origin: Origin, mirror: Mirror
) -> None:
    origin.commit(a="1")
    (origin.path / ".git/refs/heads/broken").write_text(f"{'1' * 40}\n")
    for wanted in ("1", "2"):
        commit = origin.commit(a=wanted)
        mirror.fetch("refs/heads/main")
        assert mirror.resolve_ref("refs/heads/main") == commit
    with pytest.raises(CommitGoneError, match=r"has no refs/heads/broken; git said: .*1111"):
        mirror.resolve_ref("refs/heads/broken")
    with pytest.raises(GitUnreachableError, match="the repository: it is damaged"):
        mirror.fetch("refs/heads/broken")


@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_mirror_is_fetched_anew(origin: Origin, mirror: Mirror, packed: bool) -> None:
    origin.commit(a="1")
    mirror.fetch()
    if packed:
        subprocess.run(["git", "-C", mirror.path, "gc", "-q"], check=True)
    damage(mirror)
    commit = origin.commit(a="2")
    mirror.fetch()
    mirror.require(commit)
    subprocess.run(["git", "-C", mirror.path, "fsck", "--no-progress"], check=True)
    assert names(mirror.path.parent) == {"api.git", "api.git.lock"}


def test_a_damaged_mirror_whose_remote_is_away_is_fetched_anew_later(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    commit = origin.commit(a="1")
    mirror.fetch()
    damage(mirror)
    origin.path.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(GitUnreachableError):
            mirror.require(commit)
    (tmp_path / "away").rename(origin.path)
    assert mirror.require(commit) == commit


def test_a_mirror_that_cannot_be_written_names_this_server(origin: Origin, mirror: Mirror) -> None:
    origin.commit(a="1")
    mirror.path.parent.mkdir()
    mirror.path.with_name("api.git.fetching").mkdir()
    with pytest.raises(
        StepFailedError, match=r"the mirror .*api\.git cannot be written: .*; this server: check"
    ):
        mirror.fetch()


def test_what_a_killed_fetch_left_of_a_key_is_removed(origin: Origin, mirror: Mirror) -> None:
    origin.commit(a="1")
    left = mirror.path.with_name("api.git.secrets")
    left.mkdir(parents=True)
    (left / "key").write_text("a key")
    mirror.fetch()
    assert not left.exists()


@pytest.mark.parametrize("place", ["earlier.git.secrets", "api.git.submodules/lib.git.secrets"])
def test_a_fetch_removes_the_key_that_a_killed_one_left_for_another_address(
    origin: Origin, mirror: Mirror, place: str
) -> None:
    origin.commit(a="1")
    left = mirror.path.parent / place
    left.mkdir(parents=True)
    (left / "key").write_text("a key")
    mirror.fetch()
    assert not left.exists()


def test_the_key_of_a_fetch_under_way_stays(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    origin.commit(a="1")
    other = Mirror(mirror.path.with_name("other.git"), str(origin.path), threading.Event())
    with other.locked():
        key = mirror.path.with_name("other.git.secrets") / "key"
        key.parent.mkdir()
        key.write_text("a key")
        mirror.fetch()
        assert key.exists()


def test_damage_found_while_looking_for_a_commit_is_repaired(origin: Origin, mirror: Mirror) -> None:
    commit = origin.commit(a="1")
    mirror.fetch()
    damage(mirror)
    mirror.require(commit)


def test_damage_found_while_exporting_is_repaired(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    commit = origin.commit(a="1" * 5000)
    mirror.fetch()
    explode(mirror)
    blob = origin.git("rev-parse", "HEAD:a")
    file = mirror.path / "objects" / blob[:2] / blob[2:]
    file.chmod(0o644)
    file.write_bytes(b"garbage")
    mirror.require(commit)
    mirror.export(commit, tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "1" * 5000


def explode(mirror: Mirror) -> None:
    """Turn the mirror's packs into one file for each object."""
    for pack in mirror.path.glob("objects/pack/*.pack"):
        data = pack.read_bytes()
        pack.with_suffix(".idx").unlink()
        pack.unlink()
        subprocess.run(["git", "-C", mirror.path, "unpack-objects", "-q"], input=data, check=True)


def test_an_orphaned_git_goes_on_holding_the_lock(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    """The server accepts and says nothing, so that git still waits for it when its parent is killed."""
    with socket.create_server(("127.0.0.1", 0)) as blackhole:
        killed("fetch", mirror.path, f"http://127.0.0.1:{blackhole.getsockname()[1]}/acme/api")
        with pytest.raises(StepFailedError, match=r"locked for 0\.1 s"):
            mirror_of(str(origin.path), tmp_path, wall=0.1).fetch()
    origin.commit(a="1")
    mirror.fetch()  # waits until git has seen its server go


def test_two_processes_share_a_mirror(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    commit = origin.commit(a="1")
    processes = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, mirror.path, origin.path, tmp_path / f"out{number}"])
        for number in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert mirror.resolve_ref("refs/heads/main") == commit
    assert (tmp_path / "out2/a").read_text() == "1"
