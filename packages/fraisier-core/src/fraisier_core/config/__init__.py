"""`fraises.yaml`: found, read, checked whole, and kept current.

`yamlfile` and `variables` turn the text into values with their lines, `sections` values into models, the
sections are in modules of their names, `checks` compares them, and `parsing` makes it a `configuration`.
"""

from fraisier_core.config.configuration import Config
from fraisier_core.config.database import StorePlace, place_of_store
from fraisier_core.config.finding import find_config
from fraisier_core.config.fraise import Environment, Fraise, ResolvedEnvironment
from fraisier_core.config.parsing import PARTS, SECTIONS, load_config, parse_config

__all__ = [
    "PARTS",
    "SECTIONS",
    "Config",
    "Environment",
    "Fraise",
    "ResolvedEnvironment",
    "StorePlace",
    "find_config",
    "load_config",
    "parse_config",
    "place_of_store",
]
