"""What a repository is and how it is reached, from the command's point of view."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.origins import Origin

from .installation import HEALTHY, Installation

TELLING = HEALTHY | {"build.sh": '#!/bin/sh\necho "describe=$FRAISIER_DESCRIBE"\n'}


def say(installation: Installation, line: str, address: str | None = None) -> None:
    """Have the configuration say more of the repository."""
    text = installation.config.read_text()
    text = text.replace("    type: script\n", f"    type: script\n    {line}\n")
    installation.config.write_text(text.replace(installation.forge.url, address or installation.forge.url))


@pytest.mark.parametrize("describe", [True, False])
def test_commands_get_what_git_describes_if_they_want_it(installation: Installation, describe: bool) -> None:
    if describe:
        say(installation, "describe: true")
    installation.forge.push_files(TELLING)
    installation.forge.git("tag", "--annotate", "--message=1.4", "v1.4")
    installation.forge.git("push", "--quiet", "--tags", "origin")
    commit = installation.forge.push_files({"file": "1"})
    expected = f"v1.4-1-g{commit[:7]}" if describe else ""
    assert f"  describe={expected}\n" in installation.run("deploy", "my_api", "production").stdout


def test_a_repository_of_sha256_ids_is_deployed_by_any_name_of_its_commit(
    installation: Installation, tmp_path: Path
) -> None:
    origin = Origin(tmp_path / "sha256", "sha256")
    commit = origin.commit(**{"build.sh": "true", "check.sh": "true"})
    say(installation, "lfs: false", str(origin.path))
    for name in (commit, commit[:40], commit[:9]):
        done = installation.run("deploy", "my_api", "production", "--commit", name)
        assert done.returncode == 0, done.stderr
        assert installation.last().commit_sha == commit


def test_all_that_git_said_is_in_the_output_and_its_reason_in_the_message(
    installation: Installation, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "broken.git"], check=True)
    (tmp_path / "broken.git/HEAD").write_text("nothing")
    say(installation, "lfs: false", str(tmp_path / "broken.git"))
    done = installation.run("deploy", "my_api", "production")
    assert done.returncode != 0
    assert "cannot be fetched: fatal: '" in done.stderr
    assert "the forge: it has no such repository" in done.stderr
    shown = installation.run("show", installation.last().id).stdout
    assert "does not appear to be a git repository" in shown
    assert "Could not read from remote repository" in shown


def test_a_submodule_that_is_refused_names_the_setting_that_does_without(installation: Installation) -> None:
    clone = installation.forge.clone
    (clone / ".gitmodules").write_text('[submodule "x"]\n\tpath = lib\n\turl = https://forge.example/x.git\n')
    installation.forge.commit(HEALTHY)
    installation.forge.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    installation.forge.git("commit", "--quiet", "--message=Add")
    installation.forge.push()
    done = installation.run("deploy", "my_api", "production")
    assert "the submodule lib is at https://forge.example/x.git" in done.stderr
    assert "`submodules: false`" in done.stderr
    say(installation, "submodules: false")
    assert installation.run("deploy", "my_api", "production").returncode == 0
