from __future__ import annotations

import pytest

from .installation import HEALTHY, Installation


@pytest.fixture
def sharing(installation: Installation) -> Installation:
    """An installation whose production shares a file and a folder."""
    text = installation.config.read_text()
    keys = f"branch: main\n        app_path: {installation.folder}/app\n        shared: [.env, uploads]"
    installation.config.write_text(text.replace("branch: main", keys))
    return installation


def test_what_is_shared_outlives_every_release_and_is_there_for_the_build(sharing: Installation) -> None:
    shared, app = sharing.folder / ".fraisier/shared/my_api/production", sharing.folder / "app"
    shared.mkdir(parents=True)
    (shared / ".env").write_text("KEY=1\n")
    build = "cat .env > built; date >> uploads/builds\n"
    for number in range(8):
        sharing.deploy({"build.sh": build, "number": str(number)})
    assert len((app / "uploads/builds").read_text().splitlines()) == 8
    assert (app / "built").read_text() == "KEY=1\n"
    assert sharing.run("rollback", "my_api", "production").returncode == 0
    assert (app / "number").read_text() == "6"
    assert len((app / "uploads/builds").read_text().splitlines()) == 9  # this type builds again
    assert sorted(path.name for path in shared.iterdir()) == [".env", "uploads"]


def test_a_missing_file_is_named_before_anything_is_fetched(sharing: Installation) -> None:
    sharing.forge.push_files(HEALTHY)
    done = sharing.run("deploy", "my_api", "production")
    assert done.returncode == 10
    assert ".fraisier/shared/my_api/production/.env must be there: make it" in done.stderr
    assert not (sharing.folder / ".fraisier/mirrors").exists()
    assert "must be there" in sharing.run("deploy", "my_api", "production", "--dry-run").stdout


def test_in_place_nothing_is_shared(sharing: Installation) -> None:
    sharing.forge.push_files(HEALTHY)
    sharing.forge.git("clone", "--quiet", sharing.forge.url, str(sharing.folder / "app"))
    done = sharing.run("deploy", "my_api", "production")
    assert done.returncode == 10
    assert "app is a clone, in which files stay where they are: remove `shared:`" in done.stderr
