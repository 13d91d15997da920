import re
import subprocess
import sys
from pathlib import Path

import fraisier_core
import pytest
from fraisier_core.store import protocol


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


def test_what_the_methods_of_a_store_raise_and_are_given_is_public() -> None:
    text = "".join(path.read_text() for path in Path(protocol.__path__[0]).glob("*.py"))
    named = set(re.findall(r"`(\w+Error)`", text)) | {"Host", "ProcessIdentity"}
    assert named == {
        "ConflictError",
        "FencedError",
        "Host",
        "ProcessIdentity",
        "StoreError",
        "UnknownNameError",
    }
    assert named <= set(fraisier_core.__all__)
