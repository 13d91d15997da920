import pytest
from fraisier_core.errors import ConfigurationError
from fraisier_core.git.access import Login, place_of
from fraisier_core.git.addresses import parsed
from fraisier_core.git.remotes import Remote
from fraisier_core.git.repository import address_problem, repository_identity


@pytest.mark.parametrize(
    "url",
    [
        "ssh://127.0.0.2%3a2201%2fx@127.0.0.1:2201/x",
        "ssh://git%40other@host/x",
        "ssh://ho%73t/x",
        "ssh://git:p%40ss@host/x",
        "ssh://git@other@host/x",
        "https://ho%73t/x",
        "https://host\\@other/x",
        "https://other\\.host/x",
        "https://hőst/x",
        "ssh://$(id)/x",
        "ssh://`id`/x",
        "git@$(touch${IFS}x):x",
        "git@a;id:x",
        "a'b@host:x",
        "git@host:2209:/p",
        "[::1]:22:x",
        "[host]:x",
        "git@[::1%25lo]:x",
        "git@[12345::1]:x",
        "[git@::1]:x",
        "https://[v1.host]/x",
        "https://host:0/x",
        "https://host:65536/x",
        "https://host:/x",
        "https://host/x?y",
        "https://host/x#y",
        "ssh://host/x?y",
    ],
)
def test_an_address_that_programs_read_differently_is_refused(url: str) -> None:
    assert parsed(url) is None
    assert place_of(url) is None
    assert repository_identity(url) is None
    with pytest.raises(ConfigurationError):
        Remote.of(url)


@pytest.mark.parametrize(
    ("url", "place", "shown"),
    [
        ("git@[::1]:x", "ssh://[::1]:22", "git@[::1]:x"),
        ("ssh://git@[::1]:2201/x", "ssh://[::1]:2201", "ssh://git@[::1]:2201/x"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443", "https://[2001:DB8::1]:8443/x"),
        ("HTTPS://Host/a%20b", "https://host:443", "https://Host/a%20b"),
        ("https://user:p%40ss@host/x", "https://host:443", "https://host/x"),
        ("https://user:p@ss@host/x", "https://host:443", "https://host/x"),
        ("ssh://git@host:2222/~me/x", "ssh://host:2222", "ssh://git@host:2222/~me/x"),
        ("gitlab+deploy-token-1@host:a/b.git", "ssh://host:22", "gitlab+deploy-token-1@host:a/b.git"),
        ("git@host:a%20b/c#-lib", "ssh://host:22", "git@host:a%20b/c#-lib"),
        ("my_host.lan:x", "ssh://my_host.lan:22", "my_host.lan:x"),
        ("file://localhost/srv/a%20b", None, "file:///srv/a%20b"),
        ("/srv/a#b?c%20d:e", None, "/srv/a#b?c%20d:e"),
    ],
)
def test_an_address_has_the_place_that_git_goes_to(url: str, place: str | None, shown: str) -> None:
    assert address_problem(url) is None
    assert place_of(url) == place
    assert Remote.of(url).url == shown


@pytest.mark.parametrize("password", ["p%40ss", "p@ss"])
def test_a_login_is_decoded_after_it_is_split_off(password: str) -> None:
    assert Remote.of(f"https://user:{password}@host/x").login == Login("user", "p@ss")


@pytest.mark.parametrize("form", ["[::1]", "[::1]:8443"])
def test_a_credential_for_an_ipv6_address_is_configured_at_a_url(form: str) -> None:
    port = "443" if form == "[::1]" else "8443"
    assert list(Remote.of(f"https://me:s3cret@{form}/x").config) == [
        f"credential.https://[::1]:{port}.helper"
    ]


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("ssh://git@host:2222/x", "ssh-keyscan -p 2222 host"),
        ("git@host:x", "ssh-keyscan host"),
        ("ssh://git@[::1]:22/x", "ssh-keyscan ::1"),
        ("/srv/x", "ssh-keyscan HOST"),
    ],
)
def test_the_host_keys_of_a_server_are_printed_by_a_command_to_paste(url: str, command: str) -> None:
    assert Remote.of(url).keyscan == command


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///srv/a%20b", "/srv/a b"),
        ("file:///srv/%C3%A9", "/srv/é"),
        ("file:///srv/x%23/y", "/srv/x#/y"),
        ("file:///srv/x%3Fy", "/srv/x?y"),
        ("/srv/x#/y", "/srv/x#/y"),
    ],
)
def test_the_path_that_is_checked_is_the_one_that_git_opens(url: str, path: str) -> None:
    assert Remote.of(url).local_path == path


@pytest.mark.parametrize(
    "url",
    [
        "file:///x/live/x#/../../../../e1/source",
        "file:///x/live/x?/../../source",
        "file:///x%00x",
        "file:///x%ff",
        "file:///x%C3",
        "file://localhost:80/x",
        "file://user@localhost/x",
    ],
)
def test_a_path_that_git_would_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Remote.of(url)
