from collections.abc import Mapping
from pathlib import Path

import pytest
from fraisier_core.config import Config, parse_config
from fraisier_core.config.sections import secret_texts
from fraisier_core.errors import ConfigurationError, UnsetVariableError
from fraisier_core.git.access import Key, Login
from fraisier_core.plugins import Plugins
from fraisier_core.push import Push
from fraisier_core.requests.routing import route
from fraisier_core.text.redaction import Redactor

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAA\n-----END OPENSSH PRIVATE KEY-----"


def configured(
    *lines: str, repository: str = "git@git.example.com:acme/api.git", env: Mapping[str, str] | None = None
) -> Config:
    """Return a configuration of one fraise that says some lines more."""
    more = "".join(f"    {line}\n" for line in lines)
    text = f"""
fraises:
  api:
    type: api
    repository: {repository}
{more}    environments:
      production: {{branch: main}}
branch_mapping:
  main: {{fraise: api, environment: production}}
"""
    return parse_config(text, Path("/etc/fraisier/fraises.yaml"), Plugins.installed(), env or {}, types=False)


def answered(config: Config, place: str | None) -> Login | Key | None:
    return config.resolved("api", "production").access.at(place)


def test_a_key_is_for_ssh_at_the_repository_alone() -> None:
    config = configured("credentials: {ssh_key: '${KEY}'}", env={"KEY": KEY})
    assert answered(config, "ssh://git.example.com:22") == Key(KEY)
    for place in ("ssh://git.example.com:2222", "ssh://example.com:22", "https://git.example.com:443"):
        assert answered(config, place) is None
    assert Key(KEY).content == f"{KEY}\n"
    assert Key(KEY.replace("\n", "\r\n")).content == f"{KEY}\n"


def test_a_token_is_for_https_at_the_repository_and_its_aliases() -> None:
    lines = ("credentials: {token: t0ken-t0ken}", "aliases: [https://inner.example:8443/api, git@inner:api]")
    config = configured(*lines, repository="https://git.example.com/acme/api.git")
    for place in ("https://git.example.com:443", "https://inner.example:8443"):
        assert answered(config, place) == Login("x-access-token", "t0ken-t0ken")
    for elsewhere in ("http://git.example.com:80", "https://git.example.com:8443", "ssh://inner:22", None):
        assert answered(config, elsewhere) is None


def test_each_host_has_its_own_credentials() -> None:
    config = configured(
        "credentials:",
        "  - {ssh_key: '${KEY}'}",
        "  - {host: 'lfs.example.com:8443', user: ada, password: hunter2hunter2}",
        "  - {host: 'http://inner', token: t0ken-t0ken}",
        "  - {host: 'ssh://lib.example.com:29418', ssh_key: '${KEY}'}",
        env={"KEY": KEY},
    )
    assert answered(config, "https://lfs.example.com:8443") == Login("ada", "hunter2hunter2")
    assert answered(config, "http://inner:80") == Login("x-access-token", "t0ken-t0ken")
    assert answered(config, "ssh://lib.example.com:29418") == Key(KEY)
    assert answered(config, "https://inner:443") is None


def test_what_is_answered_is_redacted_and_shown_nowhere() -> None:
    config = configured(
        "credentials: {token: t0ken-t0ken}",
        "proxy: http://me:pr0xy-pw@proxy.example:3128",
        repository="https://git.example.com/acme/api.git",
    )
    resolved = config.resolved("api", "production")
    assert {"t0ken-t0ken", "pr0xy-pw"} <= resolved.secrets
    assert not any(secret in f"{config!r}{resolved!r}" for secret in ("t0ken-t0ken", "pr0xy-pw"))
    assert set(secret_texts(config.fraise("api").reach)) == {"t0ken-t0ken"}


def test_each_line_of_a_key_is_redacted_and_not_the_words_that_any_key_has() -> None:
    resolved = configured("credentials: {ssh_key: '${KEY}'}", env={"KEY": KEY}).resolved("api", "production")
    redact = Redactor(resolved.secrets).redact
    assert redact(f"$ cat key\n{KEY.splitlines()[1]}\n") == "$ cat key\n***\n"
    assert redact("-----BEGIN OPENSSH PRIVATE KEY-----") == "-----BEGIN OPENSSH PRIVATE KEY-----"


def test_a_variable_that_is_not_set_keeps_only_the_deployment_from_going_on() -> None:
    for line in ("credentials: {token: '${NONE}'}", "proxy: '${NONE}'", "known_hosts: '${NONE}'"):
        config = configured(line, repository="https://git.example.com/acme/api.git")
        with pytest.raises(UnsetVariableError, match="the variable NONE is not set"):
            config.resolved("api", "production")


REFUSED = {
    "credentials: {}": "set exactly one of ssh_key, token, password",
    "credentials: {token: a, password: b}": "set exactly one of",
    "credentials: {password: hunter2hunter2}": "`user:` goes with `password:`",
    "credentials: {ssh_key: hunter2hunter2}": "credentials.ssh_key: is not a private key",
    "credentials: {host: g.example, token: ''}": "must not be empty",
    'credentials: {host: g.example, token: "hunter2\\nhunter2"}': "holds a line end",
    "credentials: {host: 'https://me@g.example/x', token: hunter2hunter2}": "host: is not a host",
    "credentials: {host: -oProxyCommand=x, token: hunter2hunter2}": "host: is not a host",
    "credentials: {token: hunter2hunter2}": "`token:` is for https://, and `repository:` has no such address",
    "aliases: ['ext::sh -c id']": "aliases",
    "ca_file: ca.pem": "ca_file: must be an absolute path",
    "known_hosts: ''": "known_hosts",
    "protocols: [ext]": "protocols.0",
    "protocols: [file]": "protocols.0",
    "submodules: sometimes": "submodules",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_wrong_is_told_without_the_secret(line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configured(line)
    assert REFUSED[line] in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("repository", "alias"),
    [
        ("git@github-my-api:acme/my-api.git", "git@github.com:acme/my-api.git"),
        ("ssh://git@ssh.github.com:443/acme/my-api.git", "https://github.com/acme/my-api"),
        ("http://forge.internal:3000/acme/my-api", "ssh://git@github.com/acme/my-api.git"),
    ],
)
def test_a_push_to_an_alias_is_one_to_the_repository(repository: str, alias: str) -> None:
    urls = ("https://github.com/acme/my-api.git", "git@github.com:acme/my-api.git")
    push = Push("push", "acme/my-api", urls, "refs/heads/main", None, "1" * 40, "ada")
    assert not route(push, configured(repository=repository)).targets
    assert len(route(push, configured(f"aliases: {alias}", repository=repository)).targets) == 1
    assert not route(
        push, configured("aliases: https://github.com/acme/other", repository=repository)
    ).targets
