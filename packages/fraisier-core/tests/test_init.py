import subprocess
import sys

import fraisier_core
import pytest


def test_every_public_name_is_there() -> None:
    assert all(hasattr(fraisier_core, name) for name in fraisier_core.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        _ = fraisier_core.unknown


def test_importing_the_core_loads_none_of_its_modules() -> None:
    program = "import fraisier_core, sys; print('pydantic' in sys.modules, 'pluggy' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert printed == "False False\n"
