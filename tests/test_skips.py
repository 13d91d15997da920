"""What cannot run is skipped on a developer's machine, and fails in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import ROOT

SKIPPED = {
    "a test": "def test_it(): pytest.skip('no moon')",
    "a marked test": "@pytest.mark.skip(reason='no moon')\ndef test_it(): pass",
    "a fixture": "@pytest.fixture\ndef moon(): pytest.skip('no moon')\ndef test_it(moon): pass",
    "a module": "pytest.skip('no moon', allow_module_level=True)",
}
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}


def outcome(folder: Path, text: str, **environment: str) -> tuple[int, str]:
    """Return the exit status of pytest for a module of tests, and what it says."""
    (folder / "test_it.py").write_text(f"import pytest\n{text}\n")
    options = ("-p", "tests.skips", "-p", "no:cacheprovider", "-c", os.devnull, str(folder))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=ROOT,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("text", SKIPPED.values(), ids=SKIPPED.keys())
def test_a_skip_fails_in_ci_and_says_why(text: str, tmp_path: Path) -> None:
    status, said = outcome(tmp_path, text)
    assert status in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}, said
    status, said = outcome(tmp_path, text, CI="true")
    assert status in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}, said
    assert "no moon" in said


def test_what_a_plugin_has_nothing_for_may_be_skipped_in_ci(tmp_path: Path) -> None:
    text = "from fraisier_core.testing.skipping import not_for_this_type"
    status, said = outcome(tmp_path, f"{text}\ndef test_it(): not_for_this_type('it has no moon')", CI="true")
    assert (status, "1 skipped" in said) == (pytest.ExitCode.OK, True), said


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    text = "@pytest.mark.xfail\ndef test_it(): raise OSError"
    status, said = outcome(tmp_path, text, CI="true")
    assert status == pytest.ExitCode.OK, said
