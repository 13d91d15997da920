"""The binaries of FraiseQL that the schema is compiled and served with, built once a version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "2.18.0"  # of the package `fraiseql` too: a schema is refused by any other
RUST = (1, 95)
PACKAGES = {"fraiseql-cli": (), "fraiseql-server": ("--features", "observers,metrics")}
MIGRATIONS = "migrations"


class FraiseqlMissingError(Exception):
    """FraiseQL cannot be run here; the message says what to do."""


def folder() -> Path:
    """Return where the binaries of this version belong: outside of the tree, for all of its copies."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fraisier" / f"fraiseql-{VERSION}"


def binary(name: str) -> Path:
    """Return a program. Raises `FraiseqlMissingError` if it was not built."""
    path = folder() / "bin" / name
    if not path.exists():
        raise FraiseqlMissingError(f"{path} is not built; run `script/fraiseql --build`, which takes minutes")
    return path


def migrations() -> list[Path]:
    """Return the scripts that make the tables of subscriptions, in their order."""
    return sorted((folder() / MIGRATIONS).glob("*.sql"))


def build() -> None:
    """Build what is missing with cargo. Raises `FraiseqlMissingError`."""
    if (folder() / MIGRATIONS).exists():
        return
    _require_rust()
    with _path_without_npm() as path, tempfile.TemporaryDirectory(prefix="fraiseql-") as target:
        environment = os.environ | {"PATH": path, "CARGO_TARGET_DIR": target, "CARGO_PROFILE_DEV_DEBUG": "0"}
        for name, options in PACKAGES.items():
            _install(name, options, environment)
    _keep_migrations()


def _require_rust() -> None:
    wanted = ".".join(map(str, RUST))
    install = f"install Rust {wanted} or newer (https://rustup.rs), with which it is built once"
    try:
        said = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise FraiseqlMissingError(
            f"FraiseQL {VERSION} is not built, and there is no Rust: {install}"
        ) from error
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < RUST:
        raise FraiseqlMissingError(f"FraiseQL {VERSION} cannot be built by {said.strip()}: {install}")


@contextmanager
def _path_without_npm() -> Iterator[str]:
    """Yield a PATH without npm, which would only build a page of the server, and in vain."""
    with tempfile.TemporaryDirectory(prefix="fraiseql-path-") as links:
        for place in map(Path, os.environ["PATH"].split(os.pathsep)):
            for program in place.iterdir() if place.is_dir() else ():
                link = Path(links) / program.name
                if program.name not in {"npm", "npx"} and not link.is_symlink():
                    link.symlink_to(program)
        yield links


def _install(name: str, options: tuple[str, ...], environment: dict[str, str]) -> None:
    """Build a package without what only debuggers need, in a third of the time that a release takes."""
    what = ("install", name, "--version", VERSION, "--locked", "--debug", *options)
    if subprocess.run(["cargo", *what, "--root", str(folder())], env=environment, check=False).returncode:
        raise FraiseqlMissingError(f"cargo {' '.join(what)} failed; see above")


def _keep_migrations() -> None:
    """Copy the scripts for PostgreSQL from where cargo unpacked them; it is done last, once all is there."""
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    (found, *_) = home.glob(f"registry/src/*/fraiseql-observers-{VERSION}/migrations")
    with tempfile.TemporaryDirectory(dir=folder()) as unfinished:
        made = Path(unfinished) / MIGRATIONS
        made.mkdir()
        for number in ("01", "02", "06", "08", "11", "13", "14"):
            (script,) = found.glob(f"{number}_*.sql")
            shutil.copy(script, made)
        made.rename(folder() / MIGRATIONS)


if __name__ == "__main__":
    build()
