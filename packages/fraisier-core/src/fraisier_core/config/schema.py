"""JSON Schema of `fraises.yaml`, for editors: with the sections of everything that is installed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fraisier_core.config.branch_mapping import RuleSection
from fraisier_core.config.database import DatabaseSection
from fraisier_core.config.fraise import NAME, FraiseSection
from fraisier_core.errors import PluginError
from fraisier_core.plugins import DEPLOYERS, PROVIDERS, Plugins
from fraisier_core.settings import EnvironmentSettings, ProviderSettings

Schema = dict[str, Any]


def config_schema(plugins: Plugins) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a configuration.

    Args:
        plugins: what is installed; all of it is imported, and what cannot be loaded is left out.
    """
    providers = _provider_models(plugins)
    types = _environment_models(plugins)
    models: list[type[BaseModel]] = [RuleSection, DatabaseSection, FraiseSection]
    models += [*providers.values(), *types.values()]
    schemas, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template="#/$defs/{model}"
    )
    found = {model: schema for (model, _), schema in schemas.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fraises.yaml",
        **_closed(
            {
                "git": _git({name: found[model] for name, model in providers.items()}),
                "fraises": _named(
                    _fraise(definitions, {name: found[model] for name, model in types.items()})
                ),
                "branch_mapping": {
                    "additionalProperties": _one_or_more(found[RuleSection]),
                    "type": "object",
                },
                "database": found[DatabaseSection],
                "state_dir": {"type": "string"},
            }
        ),
        "required": ["fraises"],
        **definitions,
    }


def _provider_models(plugins: Plugins) -> dict[str, type[ProviderSettings]]:
    models = {}
    for name in plugins.names(PROVIDERS):
        try:
            models[name] = plugins.provider(name).settings_model
        except PluginError:
            continue
    return models


def _environment_models(plugins: Plugins) -> dict[str, type[EnvironmentSettings]]:
    models = {}
    for name in plugins.names(DEPLOYERS):
        try:
            models[name] = plugins.deployer(name).settings_model
        except PluginError:
            continue
    return models


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _named(schema: Schema) -> Schema:
    return {
        "type": "object",
        "patternProperties": {f"^{NAME.pattern}$": schema},
        "additionalProperties": False,
    }


def _one_or_more(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _git(sections: Schema) -> Schema:
    return _closed({"provider": {"enum": sorted(sections)}, **sections})


def _fraise(definitions: Schema, types: Schema) -> Schema:
    """Each type decides what its environments may say."""
    fraise: Schema = definitions["$defs"].pop(FraiseSection.__name__)
    fraise["properties"]["type"] = {"enum": sorted(types)}
    fraise["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"properties": {"environments": _named(environment)}},
        }
        for name, environment in types.items()
    ]
    return fraise
