from __future__ import annotations

import pytest
from fraisier_core.provider_settings import ProviderSettings
from fraisier_core.settings import EnvironmentSettings, HealthCheck, ReconcileSection
from pydantic import ValidationError


def test_one_secret_is_a_list_of_one() -> None:
    assert ProviderSettings.model_validate({"webhook_secret": "one"}).secrets() == ("one",)
    assert ProviderSettings.model_validate({"webhook_secret": ["one", "two"]}).secrets() == ("one", "two")


@pytest.mark.parametrize("secret", ["", " \n", [], ["fine", ""], None])
def test_an_empty_secret_is_refused(secret: object) -> None:
    with pytest.raises(ValidationError):
        ProviderSettings.model_validate({"webhook_secret": secret})


def test_settings_show_no_value() -> None:
    settings = EnvironmentSettings.model_validate({"env": {"TOKEN": "hunter2"}, "name": "hunter2"})
    assert "hunter2" not in f"{settings!r} {settings}"


@pytest.mark.parametrize("branch", ["-x", "a b", "a\nb", "a~b", "a:b", "", "a\x00"])
def test_a_branch_that_git_would_refuse_or_mistake_is_refused(branch: str) -> None:
    with pytest.raises(ValidationError):
        EnvironmentSettings.model_validate({"branch": branch})


@pytest.mark.parametrize("seconds", [0, -1, "inf", "nan"])
def test_every_wait_has_an_end(seconds: object) -> None:
    with pytest.raises(ValidationError):
        EnvironmentSettings.model_validate({"timeout": seconds})


def test_a_health_check_says_exactly_one_way() -> None:
    assert HealthCheck.model_validate({"tcp": "localhost:80"}).tcp == "localhost:80"
    for section in ({}, {"tcp": "localhost:80", "unit": "api.service"}):
        with pytest.raises(ValidationError, match="exactly one of url, command, tcp, unit"):
            HealthCheck.model_validate(section)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(90, 90), ("90", 90), ("90s", 90), ("1.5 m", 90), ("10m", 600), ("1h", 3600), ("1d", 86400)],
)
def test_an_interval_is_written_with_its_unit_or_in_seconds(written: object, seconds: float) -> None:
    found = EnvironmentSettings.model_validate({"reconcile": {"every": written}}).reconcile
    assert found == ReconcileSection(every=seconds, action="show")


@pytest.mark.parametrize("written", [59, "59s", "0.5m", "10 minutes", "-1h", "inf", None, True, [], ""])
def test_an_interval_that_is_too_short_or_none_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        EnvironmentSettings.model_validate({"reconcile": {"every": written}})
