from __future__ import annotations

import json

from fraisier_core.config import SECTIONS
from fraisier_core.config.schema import config_schema

from tests.packages import PackageFolder


def test_the_schema_holds_the_sections_of_everything_installed(site: PackageFolder) -> None:
    site.provider("forge")
    site.deployer("api")
    site.deployer("broken", "import acme_nowhere")
    schema = config_schema(site.plugins())
    assert set(schema["properties"]) == {*SECTIONS}
    assert set(schema["properties"]["git"]["properties"]) == {"provider", "forge"}
    (fraise,) = schema["properties"]["fraises"]["patternProperties"].values()
    assert fraise["properties"]["type"] == {"enum": ["api"]}
    (branch,) = fraise["allOf"]
    (environment,) = branch["then"]["properties"]["environments"]["patternProperties"].values()
    name = environment["$ref"].removeprefix("#/$defs/")
    assert "systemd_service" in schema["$defs"][name]["properties"]


def test_a_section_of_git_with_a_name_of_its_own_needs_a_type(site: PackageFolder) -> None:
    site.provider("forge")
    git = config_schema(site.plugins())["properties"]["git"]
    own, named = git["additionalProperties"], git["properties"]["forge"]
    assert own["required"] == ["type"]
    assert own["properties"]["type"] == {"enum": ["forge"]}
    (by_type,) = own["allOf"]
    assert by_type["if"]["properties"] == {"type": {"const": "forge"}}
    assert by_type["then"] == named["else"]
    assert named["then"] == own


def test_every_reference_of_the_schema_leads_somewhere(site: PackageFolder) -> None:
    site.provider("forge")
    site.deployer("api")
    site.deployer("other")
    schema = config_schema(site.plugins())
    references = {part.split('"')[0] for part in json.dumps(schema).split('"#/$defs/')[1:]}
    assert references
    assert references <= set(schema["$defs"])


def test_the_schema_of_nothing_installed_is_a_schema(site: PackageFolder) -> None:
    assert config_schema(site.plugins())["required"] == ["fraises"]
