from __future__ import annotations

import pytest
from fraisier_core.errors import BoundSecretError
from fraisier_core.git.origins import Origin, Repositories, covered, is_on
from fraisier_core.git.repository import identities_of
from fraisier_core.push import Push

HOST = frozenset(["git.example.com"])
API = "git.example.com/acme/my-api"


def push(*urls: str, name: str = "acme/my-api") -> Push:
    return Push("push", name, urls, "refs/heads/main", None, "b" * 40, "ada")


def named(known: list[str], *urls: str, name: str = "acme/my-api", hosts: frozenset[str] = HOST) -> set[str]:
    return set(Repositories(identities_of(known)).named_by(Origin.of(push(*urls, name=name), hosts)))


@pytest.mark.parametrize(
    ("identity", "host", "expected"),
    [
        (API, "git.example.com", True),
        (API, "git.example.com:443", True),
        (API, "git.example.com:22", True),
        (API, "git.example.com:7999", False),
        (API, "example.com", False),
        ("git.example.com:7999/acme/my-api", "git.example.com", True),
        ("git.example.com:7999/acme/my-api", "git.example.com:7999", True),
        ("git.example.com:7999/acme/my-api", "git.example.com:443", False),
        ("[::1]/acme/my-api", "[::1]", True),
        ("[::1]:7999/acme/my-api", "[::1]", True),
        ("/git.example.com/acme/my-api", "git.example.com", False),
        ("/srv/git/api", "", False),
    ],
)
def test_a_host_without_a_port_means_all_of_its_ports(identity: str, host: str, *, expected: bool) -> None:
    assert is_on(identity, frozenset([host])) is expected


def test_a_repository_is_named_in_any_case_unless_another_is_named_exactly() -> None:
    lower, mixed = "https://git.example.com/acme/my-api", "https://git.example.com/Acme/My-API"
    assert named([lower], mixed) == {API}
    assert named([lower, mixed], mixed) == {"git.example.com/Acme/My-API"}
    assert named([lower, mixed], "git@git.example.com:ACME/MY-API.git") == {
        API,
        "git.example.com/Acme/My-API",
    }
    assert named(
        [lower, "ssh://git.example.com:7999/Acme/My-API"], lower, "ssh://git.example.com:7999/acme/my-api"
    ) == {API}
    assert named(["/srv/git/api"], "file:///srv/git/API", hosts=frozenset()) == set()


def test_addresses_on_other_hosts_do_not_count() -> None:
    origin = Origin.of(push("https://git.example.com/acme/my-api", "https://evil.example/acme/other"), HOST)
    assert origin.identities == {API}
    assert origin.elsewhere == {"evil.example/acme/other"}


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/scm/PROJ/my-api.git",
        "https://git.example.com/context/scm/proj/my-api.git",
        "ssh://git@git.example.com:7999/proj/my-api.git",
        "https://git.example.com/PROJ/my-api",
    ],
)
def test_a_push_without_an_address_is_found_by_its_full_name_on_the_hosts(url: str) -> None:
    assert named([url], name="PROJ/my-api") == identities_of([url])
    assert named([url], name="PROJ/my-api", hosts=frozenset()) == set()
    assert named([url], name="PROJ/my-api", hosts=frozenset(["evil.example"])) == set()


@pytest.mark.parametrize("name", ["", "/", "my-api", "api", "j/my-api", "proj%2Fmy-api", ".", ".."])
def test_a_part_of_a_name_is_no_full_name(name: str) -> None:
    assert named(["https://git.example.com/scm/proj/my-api"], name=name) == set()


def test_a_push_without_an_address_names_one_exactly_as_well() -> None:
    known = ["https://git.example.com/scm/proj/api", "https://git.example.com/scm/PROJ/api"]
    assert named(known, name="PROJ/api") == {"git.example.com/scm/PROJ/api"}
    assert len(named(known, name="Proj/api")) == 2


def test_a_secret_verifies_pushes_to_its_own_repositories_alone() -> None:
    bound = identities_of(["https://git.example.com/acme/my-api"])
    both = push("https://git.example.com/acme/my-api", "https://git.example.com/acme/other")
    assert Origin.of(both).within(bound).identities == {API}
    with pytest.raises(BoundSecretError) as caught:
        Origin.of(push("https://git.example.com/acme/other")).within(bound)
    assert str(caught.value) == (
        "its secret is for git.example.com/acme/my-api, and the push is to git.example.com/acme/other"
    )


@pytest.mark.parametrize(
    "urls",
    [
        ("",),
        ("nonsense",),
        (),
        ("https://git.example.com/acme/my-api/../other",),
        ("https://git.example.com/acme%2Fmy-api",),
        ("https://git.example.com:8443/acme/my-api",),
        ("/git.example.com/acme/my-api",),
    ],
)
def test_what_a_secret_is_not_bound_to_is_refused(urls: tuple[str, ...]) -> None:
    with pytest.raises(BoundSecretError):
        Origin.of(push(*urls)).within(frozenset([API]))


def test_another_case_is_taken_for_the_repository_that_the_secret_is_bound_to() -> None:
    other = Origin.of(push("https://git.example.com/Acme/My-API")).within(frozenset([API]))
    known = Repositories([API, "git.example.com/Acme/My-API"])
    assert known.named_by(other) == {API}


def test_a_push_without_an_address_is_verified_by_its_full_name_on_the_hosts() -> None:
    bound = frozenset(["git.example.com/scm/acme/my-api"])
    assert Origin.of(push(), HOST).within(bound).identities == bound
    with pytest.raises(BoundSecretError, match="the push is to acme/other, without an address"):
        Origin.of(push(name="acme/other"), HOST).within(bound)


def test_of_a_push_only_the_addresses_are_recorded_that_its_secret_is_bound_to() -> None:
    own, other = "https://git.example.com/acme/my-api.git", "git@git.example.com:acme/other.git"
    assert covered(push(own, other), HOST, frozenset([API])) == (own,)
    assert covered(push(own, other), HOST, None) == (own, other)


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("https://git.example.com/acme/my-api", "https://git.example.com/Acme/My-API.git"),
        ("ssh://git.example.com:443/acme/my-api", "ssh://git.example.com:443/ACME/my-api"),
        ("https://[::1]:8443/acme/a%25b", "https://[::1]:8443/acme/A%25b"),
    ],
)
def test_of_a_push_in_another_spelling_the_one_is_recorded_that_its_secret_is_bound_to(
    written: str, spelled: str
) -> None:
    bound = identities_of([written])
    for urls in ([spelled], [spelled, written]):
        assert identities_of(covered(push(*urls), frozenset(), bound)) == bound


def test_of_a_push_without_an_address_those_are_recorded_that_its_secret_is_bound_to() -> None:
    bound = frozenset(["git.example.com/scm/acme/my-api"])
    assert identities_of(covered(push(), HOST, bound)) == bound
