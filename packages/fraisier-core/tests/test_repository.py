from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fraisier_core.git.remotes import Remote
from fraisier_core.git.repository import (
    Repository,
    address_problem,
    identities_of,
    in_any_case,
    origin_of,
    repository_identity,
    url_password,
)
from hypothesis import given
from hypothesis import strategies as st

SAME = "git.example.com/acme/my-api"
ACCEPTED = "should be https://, http://, ssh://, user@host:path, file:// or an absolute path"
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}[a-z0-9]", fullmatch=True).filter(
    lambda name: not name.endswith(".git")
)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/acme/my-api.git",
        "https://git.example.com/acme/my-api",
        "https://git.example.com/acme/my-api/",
        "https://git.example.com/acme/my-api.git/",
        "https://Git.Example.COM/acme/my-api.git",
        "https://git.example.com:443/acme/my-api.git",
        "http://git.example.com:80/acme/my-api.git",
        "https://user:token@git.example.com/acme/my-api.git",
        "ssh://git@git.example.com/acme/my-api.git",
        "ssh://git@git.example.com:22/acme/my-api.git",
        "git@git.example.com:acme/my-api.git",
        "git@git.example.com:/acme/my-api",
        "git@Git.Example.COM:acme/my-api.git",
        "deploy@git.example.com:acme/my-api.git",
        "git.example.com:acme/my-api.git",
        "https://git.example.com/%61cme/my%2Dapi",
        "https://git.example.com/acme/my-api%2Egit",
        "ssh://git@git.example.com/acme/%6dy-api.git",
        "git@git.example.com:acme/%6Dy-api.git",
    ],
)
def test_every_address_of_a_repository_has_one_identity(url: str) -> None:
    assert repository_identity(url) == SAME
    assert address_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com:8443/acme/my-api.git",
        "https://git.example.com/acme/other.git",
        "https://git.example.com/Acme/my-api.git",
        "https://example.com/acme/my-api.git",
        "https://git.example.com/acme/my-api.git.git",
        "/srv/git.example.com/acme/my-api",
        "https://git.example.com/acme%2Fmy-api",
        "https://git.example.com/acme/%256dy-api",
        "https://git.example.com/acme/x/../my-api",
        "https://git.example.com/acme/x/%2e%2e/my-api",
        "https://git.example.com/acme//my-api",
        "https://git.example.com/acme/my-api%00",
        "https://git.example.com.evil.example/acme/my-api",
        "https://git.example.com@evil.example/acme/my-api",
        "https://evil.example/git.example.com/acme/my-api",
        "ssh://git@ssh.git.example.com:443/acme/my-api",
    ],
)
def test_another_repository_has_another_identity(url: str) -> None:
    assert repository_identity(url) not in {None, SAME}


@pytest.mark.parametrize(
    "urls",
    [
        ("https://h/acme/a%2Fb", "https://h/acme/a%252Fb"),
        ("https://h/acme/%41", "https://h/acme/%2541"),
        ("https://h/acme/%C3%A9", "https://h/acme/%E9"),
        ("/srv/a%20b", "/srv/a b"),
    ],
)
def test_what_is_encoded_is_decoded_once(urls: tuple[str, str]) -> None:
    assert repository_identity(urls[0]) != repository_identity(urls[1])


@given(st.text(min_size=1))
def test_what_a_path_holds_can_neither_end_a_line_nor_reach_a_terminal(text: str) -> None:
    identity = repository_identity(f"git@host:acme/{text}")
    assert identity is None or (identity.isascii() and identity.isprintable() and " " not in identity)


def test_a_forge_ignores_the_case_of_ascii_letters_and_a_path_on_this_machine_does_not() -> None:
    assert in_any_case("host/Acme/My-API") == in_any_case("host/acme/my-api")
    assert in_any_case("/srv/Acme") != in_any_case("/srv/acme")
    for lookalike in (
        "\N{KELVIN SIGN}it",
        "\N{LATIN SMALL LETTER LONG S}it",
        "\N{LATIN SMALL LETTER SHARP S}",
    ):
        identity = repository_identity(f"https://host/acme/{lookalike}") or ""
        assert in_any_case(identity) not in {"host/acme/kit", "host/acme/sit", "host/acme/ss"}


def test_a_link_on_the_way_to_a_local_repository_is_followed_in_the_configuration_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "disk/api.git").mkdir(parents=True)
    (tmp_path / "git").symlink_to(tmp_path / "disk")
    linked = f"{tmp_path}/git/api"
    assert identities_of([linked]) == {linked, f"{tmp_path}/disk/api"}
    assert identities_of([f"file://{linked}.git/"]) == {linked, f"{tmp_path}/disk/api"}
    (tmp_path / "linked.git").symlink_to(tmp_path / "disk/api.git")
    assert f"{tmp_path}/disk/api" in identities_of([f"{tmp_path}/linked"])
    assert repository_identity(linked) == linked  # a delivery may name any path


@pytest.mark.parametrize(
    "urls",
    [
        ("git@host:acme/a%20b", "https://host/acme/a%20b"),
        ("https://host/acme/api", "https://host/Acme/api"),
        ("https://host/acme/a%2Fb", "https://host/acme/a/b"),
        ("/srv/a%20b", "file:///srv/a%20b"),
    ],
)
def test_mirrors_stay_apart_if_git_may_reach_two_repositories(urls: tuple[str, str]) -> None:
    paths = {Remote.of(url).mirror_path(Path("/mirrors")) for url in urls}
    assert len(paths) == 2


@pytest.mark.parametrize(
    "url",
    ["/srv/git/api.git", "file:///srv/git/api.git", "file://localhost/srv/git/api", "/srv//git/x/../api/"],
)
def test_a_local_repository_is_its_path(url: str) -> None:
    assert repository_identity(url) == "/srv/git/api"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "my-api",
        "../my-api",
        "./a:b",
        "ext::whoami",
        "fd::17",
        "git://git.example.com/acme/my-api",
        "ftp://git.example.com/acme/my-api",
        "https:///acme/my-api",
        "https://git.example.com",
        "https://git.example.com/.git",
        "https://git.example.com:99999/acme/my-api",
        "https://[::1/acme/my-api",
        "file://elsewhere/srv/git",
        "--upload-pack=whoami",
        "-oProxyCommand=whoami:path",
        "ssh://-oProxyCommand=whoami/path",
        "ssh://-x@host/path",
        "git@host:-x",
        "git@-host:path",
        "/",
    ],
)
def test_what_git_could_take_for_something_else_is_refused(url: str) -> None:
    assert repository_identity(url) is None
    assert address_problem(url) == ACCEPTED


@pytest.mark.parametrize("url", ["https://host/a b", "https://host/a\n", "/srv/a\x00b", "git@host:a\tb"])
def test_an_address_with_a_space_or_control_character_is_refused(url: str) -> None:
    assert address_problem(url) == "holds a space or a control character"


@given(names, names, names)
def test_the_forms_of_an_address_agree(host: str, owner: str, name: str) -> None:
    forms = (
        f"https://{host}/{owner}/{name}",
        f"https://{host.upper()}:443/{owner}/{name}.git",
        f"git@{host}:{owner}/{name}.git",
        f"ssh://git@{host}:22/{owner}/{name}/",
    )
    assert {repository_identity(form) for form in forms} == {f"{host}/{owner}/{name}"}


@given(st.text())
def test_any_text_has_an_identity_or_none(text: str) -> None:
    identity = repository_identity(text)
    assert identity is None or "/" in identity
    assert address_problem(text) is not None or identity is not None


def test_the_password_of_an_address_is_found() -> None:
    assert url_password("https://user:token@git.example.com/a") == "token"
    assert url_password("git@git.example.com:a") is None
    assert url_password("https://[::1/a") is None


def test_an_address_is_not_shown() -> None:
    assert "token" not in repr(Repository.at("https://user:token@git.example.com/a"))


def clone_of(folder: Path, origin: str | None) -> Path:
    subprocess.run(["git", "init", "-q", folder], check=True)
    if origin is not None:
        subprocess.run(["git", "-C", folder, "config", "remote.origin.url", origin], check=True)
    return folder


def test_the_origin_of_a_clone_is_its_repository(tmp_path: Path) -> None:
    found = origin_of(clone_of(tmp_path / "clone", "git@git.example.com:acme/my-api.git"))
    assert found == Repository.at("git@git.example.com:acme/my-api.git")


def test_the_origin_is_read_whoever_owns_the_clone(tmp_path: Path) -> None:
    clone = clone_of(tmp_path / "clone", "https://git.example.com/acme/my-api")
    try:
        subprocess.run(["chown", "-R", "65534:65534", clone], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("only root can give files away")
    assert origin_of(clone).identity == SAME


def test_a_folder_inside_a_clone_is_no_clone(tmp_path: Path) -> None:
    inside = clone_of(tmp_path / "clone", "https://git.example.com/acme/my-api") / "inside"
    inside.mkdir()
    assert origin_of(inside).unknown == f"no `repository:`, and no clone at {inside}"
    (inside / ".git").mkdir()
    assert origin_of(inside).unknown == f"the clone at {inside} has no remote `origin`"


def test_a_clone_without_an_origin_that_can_be_used_says_why(tmp_path: Path) -> None:
    none = clone_of(tmp_path / "none", None)
    assert origin_of(none).unknown == f"the clone at {none} has no remote `origin`"
    strange = clone_of(tmp_path / "strange", "ext::whoami")
    assert origin_of(strange).unknown == f"the origin of {strange} {ACCEPTED}"
