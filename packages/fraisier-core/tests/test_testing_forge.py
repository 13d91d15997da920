import subprocess

import pytest
from fraisier_core.testing import Forge

pytest_plugins = ["fraisier_core.testing.forge"]


def test_pushed_files_are_in_the_forge(forge: Forge) -> None:
    commit = forge.push_files({"app/main.py": "print('hello')\n"})
    shown = subprocess.run(
        ["git", "-C", forge.bare, "show", "refs/heads/main:app/main.py"], check=True, capture_output=True
    )
    assert shown.stdout == b"print('hello')\n"
    assert forge.git("ls-remote", forge.url, "refs/heads/main").split()[0] == commit


def test_what_is_only_committed_is_not_in_the_forge(forge: Forge) -> None:
    forge.commit({"a": "1"})
    assert forge.git("ls-remote", forge.url) == ""


def test_a_script_is_executable(forge: Forge) -> None:
    forge.commit({"build.sh": "#!/bin/sh\n", "data": "1"})
    modes = [line.split()[0] for line in forge.git("ls-tree", "HEAD").splitlines()]
    assert modes == ["100755", "100644"]


def test_a_branch_is_rewound_by_force_alone(forge: Forge) -> None:
    first = forge.push_files({"a": "1"})
    forge.push_files({"a": "2"})
    forge.git("checkout", "--quiet", first)
    with pytest.raises(subprocess.CalledProcessError):
        forge.push()
    assert forge.push(force=True) == first
