from pathlib import Path

import pytest
from fraisier_core.errors import ConfigurationError
from fraisier_core.git.access import Login
from fraisier_core.git.remotes import Remote


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "--upload-pack=id",
        "-oProxyCommand=id",
        "ssh://-oProxyCommand=id/x",
        "ftp://host/x",
        "host",
        "",
        "https:///x",
        "relative/path",
        "https://host/a\nb",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Remote.of(url)


@pytest.mark.parametrize(
    ("url", "shown", "protocols"),
    [
        ("https://host/acme/api.git", "https://host/acme/api.git", "https"),
        ("http://host:3000/acme/api", "http://host:3000/acme/api", "http:https"),
        ("git@host:acme/api.git", "git@host:acme/api.git", "ssh"),
        ("ssh://git:secret@host:22/acme/api", "ssh://git@host:22/acme/api", "ssh"),
        ("file:///srv/api.git", "file:///srv/api.git", "file"),
        ("/srv/api.git", "/srv/api.git", "file"),
    ],
)
def test_git_may_use_the_protocol_of_the_address_alone(url: str, shown: str, protocols: str) -> None:
    remote = Remote.of(url)
    assert (remote.url, remote.protocols) == (shown, protocols)


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("https://t0ken@host:8443/acme/api.git", Login("t0ken", "")),
        ("https://me:p%40ss@host:8443/acme/api.git", Login("me", "p@ss")),
    ],
)
def test_credentials_are_kept_for_the_place_alone_and_out_of_sight(url: str, login: Login) -> None:
    remote = Remote.of(url)
    secret = login.password or login.user
    assert remote.url == "https://host:8443/acme/api.git"
    assert list(remote.config) == ["credential.https://host:8443.helper"]
    assert remote.login == login
    assert remote.secrets == (secret,)
    assert secret not in f"{remote!r}{remote.config}"


def test_every_address_of_a_repository_has_the_same_mirror() -> None:
    paths = {
        Remote.of(url).mirror_path(Path("/mirrors"))
        for url in ("https://t0ken@Host/acme/api.git", "git@host:acme/api", "ssh://git@host/acme/api/")
    }
    assert len(paths) == 1
    assert paths.pop().name.startswith("acme-api-")


def test_repositories_of_the_same_name_have_mirrors_of_their_own() -> None:
    folder = Path("/mirrors")
    assert Remote.of("https://a/x/api").mirror_path(folder) != Remote.of("https://b/x/api").mirror_path(
        folder
    )


def test_a_mirror_never_lies_outside_its_folder() -> None:
    for url in ("https://host/../../etc", "git@host:../x", "/a/../..//b c", "https://host/a%2f..%2fb"):
        try:
            path = Remote.of(url).mirror_path(Path("/mirrors"))
        except ConfigurationError:
            continue
        assert path.parent == Path("/mirrors")
        assert ".." not in path.parts
