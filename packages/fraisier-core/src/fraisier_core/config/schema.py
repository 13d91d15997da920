"""JSON Schema of `fraises.yaml`, for editors: with the sections of everything that is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fraisier_core.config.branch_mapping import RuleSection
from fraisier_core.config.database import DatabaseSection
from fraisier_core.config.fraises_section import NAME, FraiseSection
from fraisier_core.config.freezes import RootFreezes
from fraisier_core.config.retention import RetentionSection
from fraisier_core.errors import PluginError
from fraisier_core.plugins import (
    DEPLOYERS,
    MOUNTS,
    OBSERVERS,
    PROVIDERS,
    Deployer,
    Mount,
    Observer,
    Plugins,
    Provider,
)
from fraisier_core.settings import Section

Schema = dict[str, Any]
_OWN: tuple[type[BaseModel], ...] = (
    RuleSection,
    DatabaseSection,
    RetentionSection,
    FraiseSection,
    RootFreezes,
)


def config_schema(plugins: Plugins) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a configuration, for all plugins that can be loaded."""
    providers = _models(plugins.names(PROVIDERS), plugins.provider)
    types = _models(plugins.names(DEPLOYERS), plugins.deployer)
    observers = _models(plugins.names(OBSERVERS), plugins.observer)
    mounts = _models(plugins.names(MOUNTS), plugins.mount)
    models = [*_OWN, *providers.values(), *types.values(), *observers.values(), *mounts.values()]
    schemas, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template="#/$defs/{model}"
    )

    def found(models: Mapping[str, type[Section]]) -> Schema:
        return {name: schemas[model, "validation"] for name, model in models.items()}

    rule = schemas[RuleSection, "validation"]
    rules = {"anyOf": [rule, {"type": "array", "items": rule}]}
    sections = {
        **found(mounts),
        **found(observers),
        "git": _git(found(providers)),
        "fraises": _named(_fraise(definitions, found(types))),
        "branch_mapping": {"type": "object", "additionalProperties": rules},
        "database": schemas[DatabaseSection, "validation"],
        "retention": schemas[RetentionSection, "validation"],
        "state_dir": {"type": "string"},
        "public_url": {"type": "string"},
        "freeze": schemas[RootFreezes, "validation"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fraises.yaml",
        **_closed(sections),
        "patternProperties": {"^x-": {}},
        "required": ["fraises"],
        **definitions,
    }


def _models(
    names: Iterable[str], plugin: Callable[[str], Provider | Deployer | Observer | Mount]
) -> dict[str, type[Section]]:
    """Return the settings models of the plugins that can be loaded, by name."""
    models: dict[str, type[Section]] = {}
    for name in names:
        with suppress(PluginError):
            models[name] = plugin(name).settings_model
    return models


def _closed(properties: Schema, keyword: str = "properties") -> Schema:
    return {"type": "object", keyword: properties, "additionalProperties": False}


def _named(schema: Schema) -> Schema:
    return _closed({f"^{NAME.pattern}$": schema}, "patternProperties")


def _git(providers: Schema) -> Schema:
    """The `type` of a section, by default its name, decides what it may say."""
    known = {"properties": {"type": {"enum": sorted(providers)}}, "required": ["type"]}
    typed = {"type": "object", **known, "allOf": [_if_type(*each) for each in providers.items()]}
    has_type = {"required": ["type"]}
    named = {name: {"if": has_type, "then": typed, "else": model} for name, model in providers.items()}
    sections = {"provider": {"type": "string"}, **named}
    names = {"pattern": f"^{NAME.pattern}$"}
    return {"type": "object", "propertyNames": names, "properties": sections, "additionalProperties": typed}


def _if_type(name: str, then: Schema) -> Schema:
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}


def _fraise(definitions: Schema, types: Schema) -> Schema:
    """Each type decides what its environments may say."""
    fraise: Schema = definitions["$defs"].pop(FraiseSection.__name__)
    fraise["properties"]["type"] = {"enum": sorted(types)}
    fraise["allOf"] = [
        _if_type(name, {"properties": {"environments": _named(environment)}})
        for name, environment in types.items()
    ]
    return fraise
