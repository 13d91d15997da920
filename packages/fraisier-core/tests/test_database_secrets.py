"""No secret of `database.url` is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from fraisier_core.config import place_of_store
from fraisier_core.config.database_secrets import secrets_of, without_secrets
from fraisier_core.errors import ConfigurationError

from tests.packages import PackageFolder

STORE = """
from fraisier_core.markers import hookimpl

@hookimpl
def open_store(url, host, for_reading):
    return None
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageFolder:
    monkeypatch.syspath_prepend(tmp_path)
    folder = PackageFolder(tmp_path)
    folder.install("fraisier.stores", "acme", STORE, module="acme_database")
    return folder


@pytest.mark.parametrize(
    ("url", "shown", "secrets"),
    [
        ("acme://db/x", "acme://db/x", set()),
        ("acme://u:hush%40@db/x", "acme://***@db/x", {"hush%40", "hush@"}),
        ("acme://u:hu?s#h@db/x", "acme://***@db/x", {"hu?s#h"}),
        ("acme://u:hush@hush@db/x", "acme://***@db/x", {"hush@hush"}),
        ("acme://u:hu sh@db,other/x", "acme://***@db,other/x", {"hu sh"}),
        ("acme:///x?user=u&password=hu%2Fsh", "acme:///x?user=u&password=***", {"hu%2Fsh", "hu/sh"}),
        ("acme:///x?Password=hush&a=b", "acme:///x?Password=***&a=b", {"hush"}),
        ("acme://db/x?sslpassword=hush", "acme://db/x?sslpassword=***", {"hush"}),
        ("acme://db/x?oauth_client_secret=hush", "acme://db/x?oauth_client_secret=***", {"hush"}),
        ("acme://u:hush@db/x?scram_client_key=a", "acme://***@db/x?scram_client_key=***", {"hush", "a"}),
        ("acme://db/x?sslkey=/etc/key.pem&host=@y", "acme://db/x?sslkey=/etc/key.pem&host=@y", set()),
        ("sqlite:///srv/a@b/x.db", "sqlite:///srv/a@b/x.db", set()),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str, secrets: set[str]) -> None:
    assert without_secrets(url) == shown
    assert set(filter(None, secrets_of(url))) == secrets


@pytest.mark.parametrize(
    "url",
    [
        "acme://u:hush@db/x",
        "acme://u:hush@${HOST}/x",
        "acme://${USER}:${PASSWORD}@db/x?password=hush",
        "acme://db/${NAME:-x}?password=hush",
        "${URL}",
    ],
)
def test_the_place_of_the_store_is_shown_without_secrets(site: PackageFolder, url: str) -> None:
    path = site.folder / "fraises.yaml"
    path.write_text(f"database: {{url: '{url}'}}\n")
    values = {"HOST": "db", "USER": "u", "PASSWORD": "hush", "URL": "acme://u:hush@db/x"}
    place = place_of_store(path, site.plugins(), values)
    assert "hush" in place.database
    assert "hush" not in place.shown
    assert "hush" not in repr(place)


@pytest.mark.parametrize(
    "section",
    [
        "acme://u:hush@db/x",
        "[acme://u:hush@db/x]",
        "{url: [acme://u:hush@db/x]}",
        "{url: {acme: 'u:hush@db/x'}}",
        "{url: other://u:hush@db/x}",
        "{url: 'u:hush@db/x'}",
        "{url: '//u:hush@db/x'}",
        "{url: acme://db/x, password: hush}",
    ],
)
def test_a_section_that_is_wrong_is_refused_without_showing_it(site: PackageFolder, section: str) -> None:
    path = site.folder / "fraises.yaml"
    path.write_text(f"database: {section}\n")
    with pytest.raises(ConfigurationError) as caught:
        place_of_store(path, site.plugins(), {})
    assert "hush" not in str(caught.value)
