"""The how-to guides for production, followed on a machine that has Debian's packages and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.pages import PageShell, blocks

PRODUCTION = ROOT / "docs/how-to/production.md"
PGBOUNCER = ROOT / "docs/how-to/pgbouncer.md"
# What the installation of Debian's packages does: it makes a cluster and starts what it brings. There are no
# newer ones than those that are here.
AS_INSTALLED = """
echo 'APT::Get::Upgrade "false";' > /etc/apt/apt.conf.d/as-installed
rm --force --recursive /etc/postgresql/15/main /var/lib/postgresql/15/main
pg_createcluster 15 main
systemctl add-wants --quiet postgresql.service postgresql@15-main.service
systemctl enable --quiet --now postgresql.service nginx.service
"""


@pytest.fixture
def bare_machine(root_shell: PageShell) -> PageShell:
    """A shell on a machine on which `apt-get install` has done its part."""
    for program in ("/usr/bin/pg_createcluster", "/usr/sbin/nginx", "/usr/bin/caddy", "/usr/sbin/pgbouncer"):
        if not Path(program).exists():
            pytest.skip(f"{program} is not installed")
    root_shell.run(AS_INSTALLED)
    return root_shell


def test_whoever_follows_them_deploys_through_each_proxy_and_pgbouncer_and_survives_a_boot(
    bare_machine: PageShell,
) -> None:
    for page in (PRODUCTION, PGBOUNCER):
        for block in blocks(page):
            bare_machine.execute(block)
    bare_machine.run("systemctl stop pgbouncer.service")
    bare_machine.expect("curl --silent --fail http://127.0.0.1:8080/readyz || echo refused", "refused")
    bare_machine.run("systemctl stop my-api.service 'fraisier-*' postgresql.service")
    bare_machine.run("systemctl start multi-user.target")
    for port in (8080, 8081):
        bare_machine.run(f"curl --silent --fail --retry 9 --retry-all-errors http://127.0.0.1:{port}/readyz")
    bare_machine.expect("curl --silent http://127.0.0.1:8000/", "hello, this is version 1")
