from __future__ import annotations

import json

from fraisier_core.config.schema import config_schema

from tests.packages import PackageFolder


def test_the_schema_holds_the_sections_of_everything_installed(site: PackageFolder) -> None:
    site.provider("forge")
    site.deployer("api")
    site.deployer("broken", "import acme_nowhere")
    schema = config_schema(site.plugins())
    assert set(schema["properties"]) == {"git", "fraises", "branch_mapping", "database", "state_dir"}
    assert set(schema["properties"]["git"]["properties"]) == {"provider", "forge"}
    (fraise,) = schema["properties"]["fraises"]["patternProperties"].values()
    assert fraise["properties"]["type"] == {"enum": ["api"]}
    (branch,) = fraise["allOf"]
    (environment,) = branch["then"]["properties"]["environments"]["patternProperties"].values()
    name = environment["$ref"].removeprefix("#/$defs/")
    assert "systemd_service" in schema["$defs"][name]["properties"]


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
