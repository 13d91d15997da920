from pathlib import Path

import pytest
from fraisier_core.engine.shared import SharedFiles
from fraisier_core.errors import StepFailedError
from fraisier_core.settings import EnvironmentSettings
from pydantic import ValidationError


def shared(folder: Path, *paths: object) -> SharedFiles:
    return SharedFiles(folder / "shared", EnvironmentSettings.model_validate({"shared": paths}).shared)


def released(folder: Path, **files: str) -> Path:
    """Return a release with these files, each `__` in a name a slash, each `_` a dot."""
    release = folder / "release"
    release.mkdir()
    for name, text in files.items():
        path = release / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return release


@pytest.mark.parametrize("path", ["uploads", "uploads/", "var/cache/images", "media.d/"])
def test_a_folder_is_made_on_first_use_and_linked(tmp_path: Path, path: str) -> None:
    files = shared(tmp_path, path)
    files.check()
    release = released(tmp_path, app_py="")
    files.link(release)
    (release / path / "1.jpg").write_text("one")
    assert (release / path.rstrip("/")).readlink() == tmp_path / "shared" / path
    assert (tmp_path / "shared" / path / "1.jpg").read_text() == "one"


@pytest.mark.parametrize("path", [".env", "db.sqlite3", "config/secrets.yml"])
def test_a_file_must_be_there_and_is_linked(tmp_path: Path, path: str) -> None:
    files, place = shared(tmp_path, "uploads", path), tmp_path / "shared" / path
    with pytest.raises(StepFailedError, match=f"shared: {place} must be there: make it"):
        files.check()
    assert not (tmp_path / "shared").exists()
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    files.check()
    release = released(tmp_path)
    files.link(release)
    assert (release / path).read_text() == "mine"


def test_what_is_there_says_itself_whether_it_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/secret_key").write_text("mine")
    files = shared(tmp_path, "secret_key")
    files.check()
    release = released(tmp_path)
    files.link(release)
    assert (release / "secret_key").read_text() == "mine"
    with pytest.raises(StepFailedError, match="secret_key is a file, and secret_key/ a folder"):
        shared(tmp_path, "secret_key/").check()


@pytest.mark.parametrize(
    ("path", "default", "found"),
    [
        (".env", ".env.example", "example"),
        ("config/app.yml", "app.yml", "yml"),
        ("app.yml", "app.yml", "yml"),
        ("uploads/", "uploads", None),
        ("media", "uploads/", None),
    ],
)
def test_a_default_is_copied_on_first_use_alone(
    tmp_path: Path, path: str, default: str, found: str | None
) -> None:
    files = shared(tmp_path, {"path": path, "default": default})
    files.check()
    release = released(tmp_path, _env_example="example", app_yml="yml", uploads__logo_png="logo")
    files.link(release)
    place = tmp_path / "shared" / path
    assert (place.read_text() if found else (place / "logo.png").read_text()) == (found or "logo")
    assert (release / path.rstrip("/")).is_symlink()
    changed = place if found else place / "logo.png"
    changed.write_text("changed")
    release.rename(tmp_path / "earlier")
    files.link(released(tmp_path, _env_example="new", app_yml="new", uploads__logo_png="new"))
    assert changed.read_text() == "changed"
    assert [each.name for each in place.parent.iterdir() if each.name.startswith(".tmp")] == []


def test_a_default_that_is_copied_halfway_is_copied_anew(tmp_path: Path) -> None:
    (tmp_path / "shared/.tmp-uploads").mkdir(parents=True)
    (tmp_path / "shared/.tmp-uploads/half").write_text("")
    shared(tmp_path, {"path": "uploads", "default": "uploads"}).link(released(tmp_path, uploads__a="1"))
    assert [each.name for each in (tmp_path / "shared").rglob("*")] == ["uploads", "a"]


@pytest.mark.parametrize("path", ["uploads", "uploads/", "config/app.yml"])
def test_what_a_release_itself_has_is_refused_unless_it_is_the_default(tmp_path: Path, path: str) -> None:
    (tmp_path / "shared/config").mkdir(parents=True)
    (tmp_path / "shared/config/app.yml").write_text("")
    release = released(tmp_path, uploads___gitkeep="", config__app_yml="theirs")
    plain = path.rstrip("/")
    with pytest.raises(StepFailedError) as caught:
        shared(tmp_path, path).link(release)
    assert str(caught.value) == (
        f"shared: the release itself has {plain}: remove it from the repository, or let it be what {plain} "
        f"begins as: {{path: {path}, default: {plain}}}"
    )
    assert not (release / plain).is_symlink()


@pytest.mark.parametrize("target", ["/etc", "..", "other"])
def test_a_link_in_a_release_leads_nothing_out_of_it(tmp_path: Path, target: str) -> None:
    release = released(tmp_path, other__file="", app_py="")
    (release / "var").symlink_to(target)
    (release / "env.example").symlink_to("/etc/passwd")
    refused: list[tuple[list[object], str]] = [
        (["var/uploads"], "var/uploads cannot be linked: var is a link"),
        (["app.py/uploads"], "app.py/uploads cannot be linked: app.py is a file"),
        (["var"], "the release itself has var"),
        ([{"path": "a", "default": "var/passwd"}], "var/passwd, the default of a, is or lies behind a link"),
        ([{"path": ".env", "default": "env.example"}], "env.example, the default of .env, is or lies behind"),
        ([{"path": "var", "default": "var"}], "var, the default of var, is or lies behind a link"),
    ]
    for paths, message in refused:
        with pytest.raises(StepFailedError, match=message):
            shared(tmp_path, *paths).link(release)
    assert not (Path("/etc") / "uploads").exists()


@pytest.mark.parametrize(
    ("path", "default", "message"),
    [
        (".env", ".env.example", r"the release has no \.env\.example, the default of \.env"),
        ("uploads/", "app.py", r"app\.py, the default of uploads/, is no folder"),
    ],
)
def test_a_default_that_cannot_be_is_refused(tmp_path: Path, path: str, default: str, message: str) -> None:
    with pytest.raises(StepFailedError, match=message):
        shared(tmp_path, {"path": path, "default": default}).link(released(tmp_path, app_py=""))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "./a",
        "a/.",
        ".git",
        ".git/config",
        "a\nb",
        "a\0",
    ],
)
def test_a_path_stays_within_the_release(path: str) -> None:
    for value in (path, {"path": path}, {"path": "a", "default": path}):
        with pytest.raises(ValidationError):
            EnvironmentSettings.model_validate({"shared": [value]})


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "a/"], ["a/b", "a"], ["x", "a/", "a/b/c"]])
def test_paths_do_not_overlap(paths: list[str]) -> None:
    with pytest.raises(ValidationError, match="must not overlap: "):
        EnvironmentSettings.model_validate({"shared": paths})
    EnvironmentSettings.model_validate({"shared": ["a", "ab", "b/a", "b/c"]})


@pytest.mark.parametrize(
    ("entry", "made"),
    [
        ({"path": "up/l/new", "default": "f"}, "new"),
        ({"path": "up/l/deep/new", "default": "f"}, "deep/new"),
        ("up/l/folder/", "folder"),
        ({"path": "up/l/folder/", "default": "other/"}, "folder"),
    ],
)
def test_nothing_is_made_behind_a_link_that_a_default_brought(
    tmp_path: Path, entry: object, made: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    release = released(tmp_path, f="text", default__kept="", other__kept="")
    (release / "default/l").symlink_to(outside)
    first = {"path": "up/", "default": "default/"}
    shared(tmp_path, first).link(release)
    (release / "up").unlink()
    files = shared(tmp_path, entry)
    with pytest.raises(StepFailedError, match=rf"up/l is one\): make {tmp_path}/shared/up/l/{made} if"):
        files.link(release)
    assert not list(outside.iterdir())
    place = outside / made
    place.parent.mkdir(exist_ok=True)
    if "folder" in made:
        place.mkdir()
    else:
        place.write_text("mine")
    files.link(release)
    assert (release / "up/l" / made).readlink() == tmp_path / "shared/up/l" / made
