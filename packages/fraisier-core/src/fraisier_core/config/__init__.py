"""`fraises.yaml`: found, read, checked whole, and kept current.

`yamlfile` and `variables` turn the text into values with their lines, `sections` values into models, the
sections are in modules of their names, `checks` compares them, and `configuration` is the result.
"""

from fraisier_core.config.configuration import PARTS, SECTIONS, Config, load_config, parse_config
from fraisier_core.config.database import StorePlace, place_of_store
from fraisier_core.config.finding import find_config
from fraisier_core.config.fraise import Environment, Fraise, ResolvedEnvironment

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
