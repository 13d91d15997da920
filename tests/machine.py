"""A machine that runs Fraisier as the how-to guide says: its units, its user, and signed pushes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.environments import ROOT, UV
from tests.pages import blocks
from tests.sandbox import Sandbox, started
from tests.waiting import wait_until

PAGE = ROOT / "docs/how-to/systemd.md"
UNITS = ("fraisier-webhook.service", "fraisier-worker.service")
PACKAGES = ("fraisier", "fraisier-deployers", "fraisier-github")
# Otherwise a unit has a /proc of its own, with the boot id of what this machine runs on.
SEES_BOOT_ID = "[Service]\nProtectControlGroups=no\nProtectKernelTunables=no\n"
# What the guide does by pip, by something quicker.
INSTALL = """
useradd --system --home-dir /var/lib/fraisier --shell /usr/sbin/nologin --groups systemd-journal fraisier
install --directory --owner=fraisier --group=fraisier --mode=0755 /var/lib/fraisier /srv/git /srv/jobs
install --directory --group=fraisier --mode=0750 /etc/fraisier
printf 'FRAISIER_WEBHOOK_SECRET=pushed' > /etc/fraisier/webhook.env
printf pushed > /srv/git/secret
export UV_CACHE_DIR=/tmp/uv UV_LINK_MODE=copy
{uv} venv --quiet --python /usr/bin/python3 /opt/fraisier
{uv} pip install --quiet --compile-bytecode --python /opt/fraisier/bin/python --no-index \
    --find-links {wheelhouse} --find-links {wheels} {packages}
ln --symbolic --force /opt/fraisier/bin/fraisier /usr/local/bin/fraisier
"""
FORGE = """
cd /srv/git
git init --quiet --bare --initial-branch=main {fraise}.git
cp {hook} {fraise}.git/hooks/post-receive
git -C {fraise}.git config fraisier.url http://127.0.0.1:8080/webhook
git -C {fraise}.git config fraisier.secretFile /srv/git/secret
git clone --quiet {fraise}.git {fraise} 2> /dev/null
git -C {fraise} config user.name Author
git -C {fraise} config user.email author@example.com
chown --recursive fraisier: .
"""
PUSH = """
cd /srv/git/{fraise}
chown --recursive fraisier: .
runuser --user fraisier -- sh -ec '
    git add --all
    git commit --quiet --allow-empty --message=Change
    git push --quiet origin HEAD:refs/heads/main
' 2>&1
git -c safe.directory='*' rev-parse HEAD
"""


PATIENCE_SECONDS = 120.0  # each look takes a command, and much goes on beside it
# Whoever runs these tests may have put an environment of theirs first.
ADMINISTRATOR = (
    "env",
    "--unset=VIRTUAL_ENV",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine on which Fraisier runs as the user `fraisier`, with a forge in `/srv/git`.

    Args:
        sandbox: what it is made of; its disk is kept.
    """

    sandbox: Sandbox

    def shell(self, script: str) -> str:
        """Run a script as root that must succeed, and return what it prints."""
        return self.sandbox.succeed(*ADMINISTRATOR, "sh", "-ec", script)

    def write(self, path: str, text: str) -> None:
        """Write a file; one that starts with `#!` becomes executable."""
        mode = "0755" if text.startswith("#!") else "0644"
        quoted = shlex.quote(text)
        self.shell(f"install -D --mode={mode} /dev/null {path}; printf %s {quoted} > {path}")

    def configure(self, text: str) -> None:
        """Write `fraises.yaml` and make the repository of each of its fraises.

        Args:
            text: what follows the section `git`.
        """
        git = "git:\n  provider: github\n  github: {webhook_secret: '${FRAISIER_WEBHOOK_SECRET}'}\n"
        self.write("/etc/fraisier/fraises.yaml", git + text)

    def create_repository(self, fraise: str) -> None:
        """Make the repository of a fraise, `/srv/git/FRAISE.git`, whose pushes are told to Fraisier."""
        self.shell(FORGE.format(fraise=fraise, hook=ROOT / "examples/post_receive.py"))

    def push(self, fraise: str, files: Mapping[str, str]) -> str:
        """Push files to the repository of a fraise, and return the commit."""
        for name, text in files.items():
            self.write(f"/srv/git/{fraise}/{name}", text)
        return self.shell(PUSH.format(fraise=fraise)).split()[-1]

    def history(self, fraise: str, environment: str = "production") -> list[dict[str, Any]]:
        """Return what `fraisier history` tells of an environment, newest first."""
        rows: list[dict[str, Any]] = json.loads(self.shell(f"fraisier history {fraise} {environment} --json"))
        return rows

    def wait_for_file(self, path: str) -> None:
        """Wait until there is a file."""
        looks = (
            f"for look in $(seq {PATIENCE_SECONDS * 10:.0f}); do [ ! -e {path} ] || exit 0; sleep 0.1; done"
        )
        assert self.sandbox.run("sh", "-c", f"{looks}; exit 1").returncode == 0, f"{path}\n{self.told()}"

    def told(self) -> str:
        """Return what Fraisier and the journal tell, for a test that fails."""
        return self.shell("fraisier history || true; journalctl --no-pager --output=cat --lines=60")

    def wait_for(self, fraise: str, *statuses: str) -> list[dict[str, Any]]:
        """Wait until the history of its production has just these statuses, newest first, and return it."""

        def as_expected() -> list[dict[str, Any]] | None:
            rows = self.history(fraise)
            return rows if [row["status"] for row in rows] == list(statuses) else None

        return wait_until(as_expected, self.told, PATIENCE_SECONDS)

    def lose_power(self) -> None:
        """Take its power away, and switch it on again."""
        self.sandbox.kill()
        self.sandbox.start()


@contextmanager
def machine(folder: Path, wheels: Path, wheelhouse: Path) -> Iterator[Machine]:
    """Start a machine on which Fraisier is installed, and not yet configured.

    Args:
        folder: as in `Sandbox`.
        wheels: a folder with our packages.
        wheelhouse: a folder with all that they need.
    """
    with started(folder, wheelhouse, wheels) as sandbox:
        made = Machine(sandbox)
        packages = " ".join(PACKAGES)
        made.shell(INSTALL.format(uv=UV, wheelhouse=wheelhouse, wheels=wheels, packages=packages))
        made.write("/etc/systemd/system/service.d/boot-id.conf", SEES_BOOT_ID)
        for block in blocks(PAGE):
            if block.file and Path(block.file).name in UNITS:
                made.write(
                    block.file, block.text.replace("ReadWritePaths=/srv/my_api", "ReadWritePaths=/srv")
                )
        yield made
