"""Where deliveries come from, and which senders are refused for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from fraisier.senders import MAX_HOPS, Senders, client_of
from fraisier_core.provider_settings import ProviderSettings

from .hooks import github, github_push, new_commit
from .installation import Installation, Server, read_answer

GATEWAY = "192.0.2.1"
HEAD = b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def senders(allow: object = None, proxies: object = (GATEWAY, "2001:db8::/32")) -> Senders:
    written = {"webhook_secret": "secret", "allow": allow, "trusted_proxies": proxies}
    given = {key: value for key, value in written.items() if value}
    settings = ProviderSettings.model_validate(given)
    return Senders(settings.allow, settings.trusted_proxies)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        (GATEWAY, None, GATEWAY),
        (GATEWAY, "198.51.100.7", "198.51.100.7"),
        (GATEWAY, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (GATEWAY, "203.0.113.9,198.51.100.7,2001:db8::2, 192.0.2.1", "198.51.100.7"),
        (GATEWAY, "2001:db8::2,192.0.2.1", "2001:db8::2"),
        (GATEWAY, "garbage, 198.51.100.7", "198.51.100.7"),
        (GATEWAY, "198.51.100.7:40312", "198.51.100.7"),
        (GATEWAY, "[2001:db9::1]:40312", "2001:db9::1"),
        (GATEWAY, "[2001:db9::1]", "2001:db9::1"),
        (GATEWAY, "2001:DB9:0::1", "2001:db9::1"),
        (GATEWAY, "::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:192.0.2.1", "[::ffff:198.51.100.7]:80", "198.51.100.7"),
        ("fe80::1%eth0", None, "fe80::1"),
    ],
)
def test_the_sender_is_the_last_hop_that_is_no_trusted_proxy(
    peer: str, forwarded: str | None, address: str
) -> None:
    assert str(senders().address(peer, forwarded)) == address


@pytest.mark.parametrize(
    "forwarded",
    [
        "",
        ",",
        "198.51.100.7,",
        "198.51.100.7, unknown",
        "198.51.100.7, 192.0.2.1, ",
        "198.51.100.7, 300.0.0.1",
        "198.51.100.7, [198.51.100.8",
        "198.51.100.7, 2001:db8::2, 198.51.100.7:port",
        "198.51.100.7 198.51.100.8",
        "9" * 100_000,
    ],
)
def test_a_hop_that_is_no_address_ends_the_walk_and_is_nobody_who_may_send(forwarded: str) -> None:
    strict = senders(allow=["0.0.0.0/0", "::/0"])
    assert strict.address(GATEWAY, forwarded) is None
    assert not strict.allows(None)
    assert senders().allows(None)


def test_thousands_of_hops_are_not_walked_but_up_to_the_first_that_is_not_trusted() -> None:
    began = time.process_time()
    for _ in range(1_000):
        assert str(senders().address(GATEWAY, "1.1.1.1," * 8_000 + "198.51.100.7")) == "198.51.100.7"
    assert time.process_time() - began < 10


def test_a_sender_behind_more_proxies_than_anybody_has_is_unknown() -> None:
    known, unknown = ("198.51.100.7" + ",192.0.2.1" * count for count in (MAX_HOPS, MAX_HOPS + 1))
    assert str(senders().address(GATEWAY, known)) == "198.51.100.7"
    assert senders().address(GATEWAY, unknown) is None


def test_the_allow_list_holds_networks_of_both_kinds() -> None:
    some = senders(allow=["198.51.100.0/24", "2001:db9::/32", "203.0.113.9"])
    for peer, allowed in (
        ("198.51.100.255", True),
        ("::ffff:198.51.100.255", True),
        ("198.51.101.0", False),
        ("203.0.113.9", True),
        ("203.0.113.8", False),
        ("2001:db9:ffff::1", True),
        ("2001:dba::1", False),
        ("", False),
    ):
        assert some.allows(some.address(peer, None)) is allowed, peer


def test_an_ipv6_client_is_its_network_and_an_ipv4_client_its_address() -> None:
    one, other = (senders().address(f"2001:db9::{peer}", None) for peer in ("1:2:3:4", "9"))
    assert client_of(one) == client_of(other)
    assert client_of(one) != client_of(senders().address("2001:db9:0:1::1", None))
    assert str(client_of(senders().address("198.51.100.7", None))) == "198.51.100.7"


def test_who_is_a_client_is_known_behind_trusted_proxies_and_on_public_addresses() -> None:
    direct, behind = senders(proxies=None), senders()
    for peer, alone, proxied in (
        ("8.8.8.8", True, True),
        ("127.0.0.1", False, True),
        ("10.0.0.1", False, True),
        ("fd00::1", False, True),
        (GATEWAY, False, False),
    ):
        assert direct.tells_apart(direct.address(peer, None)) is alone, peer
        assert behind.tells_apart(behind.address(peer, None)) is proxied, peer


@pytest.mark.parametrize("key", ["allow", "trusted_proxies"])
@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("[]", "should not be empty"),
        ("somewhere", "should be an address, or a network such as 192.0.2.0/24"),
        ("192.0.2.1/24", "should be an address, or a network such as 192.0.2.0/24"),
        ("[1]", "should be an address, or a network such as 192.0.2.0/24"),
        ("'::ffff:192.0.2.0/120'", "should be written as the IPv4 network that it is"),
    ],
)
def test_what_is_no_network_is_refused(
    installation: Installation, key: str, written: str, problem: str
) -> None:
    config = installation.config.read_text()
    installation.config.write_text(config.replace("  github:\n", f"  github:\n    {key}: {written}\n"))
    done = installation.run("--no-worker")
    assert done.returncode == 3
    assert f"git.github.{key}" in done.stderr
    assert problem in done.stderr


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web app behind a proxy, which takes deliveries for GitHub from one network only."""
    installation = Installation.create(tmp_path_factory.mktemp("guarded") / "installation")
    keys = "    allow: [198.51.100.0/24]\n    trusted_proxies: [127.0.0.1]\n"
    config = installation.config.read_text()
    installation.config.write_text(config.replace("  github:\n", f"  github:\n{keys}"))
    with installation.serving() as server:
        yield server


def send(server: Server, *forwarded: str, path: str = "/webhook") -> httpx.Response:
    hook = github(github_push(new_commit()), path=path)
    more = (("x-forwarded-for", each) for each in forwarded)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in (*hook.headers.items(), *more)]
    return server.client.post(hook.path, content=hook.body, headers=headers)


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ((), "127.0.0.1"),
        (("203.0.113.9",), "203.0.113.9"),
        (("198.51.100.7, 203.0.113.9",), "203.0.113.9"),
        (("198.51.100.7", "203.0.113.9"), "203.0.113.9"),
        (("198.51.100.7, \x9b2J",), "an unknown address"),
    ],
)
def test_a_sender_that_is_not_allowed_is_refused_like_an_unverified_delivery(
    guarded: Server, forwarded: tuple[str, ...], client: str
) -> None:
    time.sleep(0.3)  # of each second, only some refusals are recorded
    answer = send(guarded, *forwarded)
    assert answer.status_code == 401
    assert answer.json() == {"error": "the delivery does not verify: check the secret on both sides"}
    last = guarded.rows("SELECT client, reason FROM tb_refused_deliveries ORDER BY sequence DESC LIMIT 1")
    assert last == [{"client": client, "reason": "the sender is not in git.github.allow"}]


@pytest.mark.parametrize(
    "forwarded", [("198.51.100.7",), ("203.0.113.9, 198.51.100.7",), ("203.0.113.9", "198.51.100.7:1")]
)
def test_a_sender_that_is_allowed_is_accepted(guarded: Server, forwarded: tuple[str, ...]) -> None:
    assert send(guarded, *forwarded).status_code == 202


def test_a_sender_that_is_not_allowed_is_refused_before_its_body_is_sent(guarded: Server) -> None:
    with guarded.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 20000000\r\n\r\n")
        assert read_answer(connection).startswith(b"401 ")


def test_a_header_of_a_peer_that_is_not_trusted_counts_for_nothing(installation: Installation) -> None:
    config = installation.config.read_text()
    allow = "  github:\n    allow: [198.51.100.0/24]\n"
    installation.config.write_text(config.replace("  github:\n", allow))
    with installation.serving() as server:
        assert send(server, "198.51.100.7").status_code == 401
        assert server.rows("SELECT client FROM tb_refused_deliveries") == [{"client": "127.0.0.1"}]
        log = server.log.read_text()
        assert "INFO git.github: trusted_proxies is not set: " in log
