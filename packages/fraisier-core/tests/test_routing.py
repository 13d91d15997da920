from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from fraisier_core.config import Config, parse_config
from fraisier_core.errors import BoundSecretError
from fraisier_core.plugins import Plugins
from fraisier_core.push import Push
from fraisier_core.requests.requesting import requests_of
from fraisier_core.requests.routing import Routing, route

from tests.packages import PackageFolder

FRAISES = """
fraises:
  api:
    type: api
    repository: https://git.example.com/acme/my-api.git
    environments: {production: {}, staging: {}}
  job:
    type: api
    repository: https://git.example.com/acme/job.git
    environments: {production: {}}
branch_mapping:
"""
BEFORE = "a" * 40
AFTER = "b" * 40
PUSH = Push(
    event="push",
    repository="acme/my-api",
    urls=("https://git.example.com/acme/my-api", "git@git.example.com:acme/my-api.git"),
    ref="refs/heads/main",
    before=BEFORE,
    after=AFTER,
    pusher="ada",
)
TAG = replace(PUSH, ref="refs/tags/main")


@pytest.fixture
def plugins(site: PackageFolder) -> Plugins:
    site.deployer("api")
    return site.plugins()


def config_of(mapping: str, plugins: Plugins, fraises: str = FRAISES) -> Config:
    lines = "".join(f"  {line}\n" for line in mapping.splitlines())
    return parse_config(fraises + lines, Path("/srv/fraises.yaml"), plugins, {})


def places(routing: Routing) -> list[tuple[str, str]]:
    return [(target.fraise, target.environment) for target in routing.targets]


def reasons(routing: Routing) -> list[str]:
    return [mismatch.reason for _, mismatch in routing.rejections]


def test_a_mapped_push_requests_a_deployment_of_its_commit(plugins: Plugins) -> None:
    config = config_of(
        "main: {fraise: api, environment: production, paths: [src, 'docs/*.md', '!src/drafts']}", plugins
    )
    routing = route(PUSH, config)
    (target,) = routing.targets
    assert places(routing) == [("api", "production")]
    (request,) = requests_of(PUSH, routing)
    assert (request.ref, request.commit_sha, request.before_sha) == ("refs/heads/main", AFTER, BEFORE)
    assert (request.pathspecs, request.reason) == (target.pathspecs, target.reason)
    assert target.pathspecs == (("src", "docs/*.md", ":(exclude)src/drafts"),)
    assert target.reason == 'the branch "main" matches "main" and the repository is api\'s'
    assert routing.rejections == ()


def test_one_push_may_deploy_to_many_environments_in_the_order_of_the_file(plugins: Plugins) -> None:
    mapping = "main:\n- {fraise: api, environment: staging}\n- {fraise: api, environment: production}"
    assert places(route(PUSH, config_of(mapping, plugins))) == [("api", "staging"), ("api", "production")]


def test_a_push_to_another_repository_is_rejected(plugins: Plugins) -> None:
    mapping = "main: [{fraise: job, environment: production}, {fraise: api, environment: production}]"
    routing = route(PUSH, config_of(mapping, plugins))
    assert places(routing) == [("api", "production")]
    assert reasons(routing) == [
        "the push is to git.example.com/acme/my-api, and job comes from git.example.com/acme/job"
    ]


@pytest.mark.parametrize("urls", [(), ("",), ("nonsense",), ("https://evil.example/acme/my-api",)])
def test_a_push_whose_repository_is_not_the_fraises_never_deploys(
    plugins: Plugins, urls: tuple[str, ...]
) -> None:
    config = config_of("main: {fraise: api, environment: production}", plugins)
    assert route(replace(PUSH, urls=urls), config).targets == ()


def test_a_deleted_branch_never_deploys(plugins: Plugins) -> None:
    routing = route(
        replace(PUSH, after=None), config_of("'**': {fraise: api, environment: staging}", plugins)
    )
    assert routing.targets == ()
    assert reasons(routing) == ['"main" was deleted, and a deletion never deploys']


def test_a_tag_named_like_a_mapped_branch_does_not_deploy(plugins: Plugins) -> None:
    routing = route(TAG, config_of("main: {fraise: api, environment: production}", plugins))
    assert routing.targets == ()
    assert reasons(routing) == ["a tag was pushed, and the rule is for branches"]


def test_a_rule_for_tags_deploys_tags_alone(plugins: Plugins) -> None:
    config = config_of("'v*': {fraise: api, environment: production, tags: true}", plugins)
    (target,) = route(replace(TAG, ref="refs/tags/v1.2"), config).targets
    assert target.reason == 'the tag "v1.2" matches "v*" and the repository is api\'s'
    assert reasons(route(replace(PUSH, ref="refs/heads/v1.2"), config)) == ["the rule is for tags"]


def test_a_ref_that_is_neither_a_branch_nor_a_tag_is_rejected(plugins: Plugins) -> None:
    config = config_of("'**': {fraise: api, environment: production}", plugins)
    for ref in ("refs/notes/commits", "main", "refs/heads"):
        assert reasons(route(replace(PUSH, ref=ref), config)) == [f"{ref} is neither a branch nor a tag"]


@pytest.mark.parametrize(
    ("pattern", "branch", "matches"),
    [
        ("main", "main", True),
        ("main", "main2", False),
        ("main", "Main", False),
        ("release/*", "release/1", True),
        ("release/*", "release/1/x", False),
        ("release/**", "release/1/x", True),
        ("**", "any/thing", True),
        ("*", "any/thing", False),
        ("v?", "v1", True),
        ("v?", "v12", False),
        ("v1.0", "v1x0", False),
        ("a+b", "a+b", True),
    ],
)
def test_a_star_stops_at_a_slash_and_two_do_not(
    plugins: Plugins, pattern: str, branch: str, matches: bool
) -> None:
    config = config_of(f"'{pattern}': {{fraise: api, environment: production}}", plugins)
    routing = route(replace(PUSH, ref=f"refs/heads/{branch}"), config)
    assert bool(routing.targets) is matches
    assert reasons(routing) == ([] if matches else [f'"{branch}" does not match "{pattern}"'])


@pytest.mark.parametrize(
    ("first", "second", "paths"),
    [
        ("paths: [src]", "paths: ['!docs', www]", (("src",), (":(exclude)docs", "www"))),
        ("paths: [src]", "paths: [src]", (("src",),)),
        ("paths: [src]", "paths: []", ()),
        ("tags: false", "paths: [src]", ()),
    ],
)
def test_two_rules_to_one_environment_request_one_deployment_with_the_paths_of_both(
    plugins: Plugins, first: str, second: str, paths: tuple[tuple[str, ...], ...]
) -> None:
    mapping = (
        f"main: {{fraise: api, environment: staging, {first}}}\n"
        f"'**': {{fraise: api, environment: staging, {second}}}"
    )
    routing = route(PUSH, config_of(mapping, plugins))
    (target,) = routing.targets
    assert target.pathspecs == paths
    assert target.reason == 'the branch "main" matches "main" and "**" and the repository is api\'s'
    assert routing.rejections == ()


def test_a_rule_may_be_narrowed_to_one_repository(plugins: Plugins) -> None:
    config = config_of("main: {fraise: api, environment: staging, repository: Acme/my-api}", plugins)
    assert places(route(PUSH, config)) == [("api", "staging")]
    assert places(route(replace(PUSH, repository="acme/%6Dy-api.git/"), config)) == [("api", "staging")]
    for other in ("acme/fork", "acme%2Fmy-api", "my-api", "acme/my-api\N{KELVIN SIGN}"):
        assert reasons(route(replace(PUSH, repository=other), config)) == [
            f"the push is to {other}, and the rule is for Acme/my-api"
        ]


def test_without_repository_the_clone_at_app_path_says_whose_it_is(plugins: Plugins, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", clone], check=True)
    subprocess.run(["git", "-C", clone, "remote", "add", "origin", PUSH.urls[1]], check=True)
    fraises = (
        f"fraises:\n  api:\n    type: api\n    environments:\n      production: {{app_path: {clone}}}\n"
        f"      staging: {{app_path: {tmp_path}/gone}}\nbranch_mapping:\n"
    )
    mapping = "main: [{fraise: api, environment: production}, {fraise: api, environment: staging}]"
    routing = route(PUSH, config_of(mapping, plugins, fraises))
    assert places(routing) == [("api", "production")]
    assert reasons(routing) == [
        f"the repository of api is not known: no `repository:`, and no clone at {tmp_path}/gone"
    ]


def test_a_push_is_routed_by_the_configuration_at_hand(plugins: Plugins) -> None:
    before = config_of("main: {fraise: api, environment: staging}", plugins)
    after = config_of("main: {fraise: api, environment: production}", plugins)
    for config, environment in ((before, "staging"), (after, "production"), (before, "staging")):
        assert places(route(replace(PUSH, after="c" * 40), config)) == [("api", environment)]


@pytest.mark.parametrize(
    ("mapping", "push", "expected"),
    [
        (
            "main: {fraise: job, environment: production}\nnext: {fraise: api, environment: staging}",
            PUSH,
            ('api staging: "main" does not match "next"',),
        ),
        (
            "v*: {fraise: job, environment: production}\n'**': {fraise: api, environment: staging}",
            replace(PUSH, after=None),
            ('api staging: "main" was deleted, and a deletion never deploys',),
        ),
        (
            "v: {fraise: job, environment: production}\nmain: {fraise: api, environment: staging}",
            PUSH,
            ('api staging: the branch "main" matches "main" and the repository is api\'s',),
        ),
        (
            "main: [{fraise: api, environment: staging, repository: acme/fork}]",
            PUSH,
            ("no rule is for git.example.com/acme/my-api",),
        ),
        (
            "next: {fraise: job, environment: production}",
            replace(PUSH, urls=()),
            ("the push names no address of acme/my-api; list the forge's host names in git.PROVIDER.hosts",),
        ),
        (
            "next: {fraise: job, environment: production}",
            replace(PUSH, urls=("nonsense",)),
            ("no rule is for an unnamed repository",),
        ),
        ("{}", PUSH, ("branch_mapping is empty",)),
    ],
)
def test_the_reasons_are_those_of_the_rules_for_the_repository(
    plugins: Plugins, mapping: str, push: Push, expected: tuple[str, ...]
) -> None:
    assert route(push, config_of(mapping, plugins)).reasons == expected


def of_addresses(plugins: Plugins, *addresses: str, git: str = "") -> Config:
    """Return a configuration with a fraise `f0`, `f1` ... for each address, all deployed from main."""
    fraises = "".join(
        f"  f{number}: {{type: api, repository: '{address}', environments: {{production: {{}}}}}}\n"
        for number, address in enumerate(addresses)
    )
    rules = "".join(
        f"  - {{fraise: f{number}, environment: production}}\n" for number in range(len(addresses))
    )
    text = f"{git}\nfraises:\n{fraises}branch_mapping:\n main:\n{rules}"
    return parse_config(text, Path("/srv/fraises.yaml"), plugins, {})


def test_several_fraises_of_one_repository_are_deployed_whatever_their_address(plugins: Plugins) -> None:
    config = of_addresses(plugins, *PUSH.urls, "ssh://git@git.example.com/acme/%6Dy-api.git/")
    assert places(route(PUSH, config)) == [(f"f{number}", "production") for number in range(3)]


def test_a_push_in_another_case_is_routed_unless_it_names_another_fraise_exactly(plugins: Plugins) -> None:
    lower, mixed = "https://git.example.com/acme/my-api", "git@git.example.com:Acme/My-API.git"
    to_mixed = replace(PUSH, urls=(mixed,))
    assert places(route(to_mixed, of_addresses(plugins, lower))) == [("f0", "production")]
    routing = route(to_mixed, of_addresses(plugins, lower, mixed))
    assert places(routing) == [("f1", "production")]
    assert reasons(routing) == [
        "the push is to git.example.com/Acme/My-API, and f0 comes from git.example.com/acme/my-api, "
        "which is told apart by its case"
    ]


def test_the_case_of_a_path_on_this_machine_counts(plugins: Plugins) -> None:
    config = of_addresses(plugins, "/srv/git/api", "file:///srv/git/API.git")
    assert places(route(replace(PUSH, urls=("/srv/git/API",)), config)) == [("f1", "production")]
    assert places(route(replace(PUSH, urls=("/srv/git/Api",)), config)) == []


def test_a_push_on_another_host_than_those_of_its_provider_matches_nothing(plugins: Plugins) -> None:
    git = "git: {work: {type: forge, hosts: git.example.com}, home: {type: forge, hosts: [home.example]}}"
    config = of_addresses(plugins, PUSH.urls[0], git=git)
    assert places(route(PUSH, config, "work")) == [("f0", "production")]
    routing = route(PUSH, config, "home")
    assert routing.targets == ()
    why = "the push is to git.example.com/acme/my-api, which is on none of git.home.hosts"
    assert routing.reasons == (why,)
    assert reasons(routing) == [why]


def test_a_push_without_an_address_is_routed_by_its_full_name_on_the_hosts(plugins: Plugins) -> None:
    push = replace(PUSH, urls=(), repository="PROJ/api")
    addresses = "https://git.example.com/scm/proj/api.git", "https://other.example/scm/proj/api.git"
    config = of_addresses(plugins, *addresses, git="git: {work: {hosts: git.example.com}, home: {}}")
    assert places(route(push, config, "work")) == [("f0", "production")]
    without = route(push, config, "home")
    assert without.targets == ()
    assert without.reasons == (
        "the push names no address of PROJ/api; list the forge's host names in git.home.hosts",
    )


def test_a_bound_secret_leaves_only_its_own_repositories(plugins: Plugins) -> None:
    config = of_addresses(plugins, "https://git.example.com/acme/my-api", "https://git.example.com/acme/job")
    both = replace(PUSH, urls=("https://git.example.com/acme/my-api", "https://git.example.com/acme/job"))
    assert len(places(route(both, config))) == 2
    bound = frozenset(["git.example.com/acme/job"])
    assert places(route(both, config, bound=bound)) == [("f1", "production")]
    with pytest.raises(BoundSecretError):
        route(PUSH, config, bound=bound)
    with pytest.raises(BoundSecretError):
        route(replace(PUSH, after=None), config, bound=frozenset())


def test_a_fraise_type_that_cannot_be_used_is_said_where_its_push_is_accepted(plugins: Plugins) -> None:
    fraises = FRAISES.replace("type: api", "type: apy", 1)
    config = config_of("main: {fraise: api, environment: production}", plugins, fraises)
    (target,) = route(PUSH, config).targets
    assert target.reason.endswith("; " + (config.fraise("api").problem or "no problem"))
    assert 'no fraise type "apy" is installed' in target.reason


def test_a_push_is_compared_with_the_rules_for_its_repository_alone(plugins: Plugins) -> None:
    addresses = [f"https://git.example.com/acme/api-{number}.git" for number in range(300)]
    config = of_addresses(plugins, *addresses)
    routing = route(replace(PUSH, urls=(addresses[7],)), config)
    assert places(routing) == [("f7", "production")]
    assert routing.reasons == ('f7 production: the branch "main" matches "main" and the repository is f7\'s',)
    assert len(routing.rejections) == 299
    assert "f7" not in {rule.fraise for rule, _ in routing.rejections}
