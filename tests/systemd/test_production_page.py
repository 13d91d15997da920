"""The how-to guides for production, followed on a machine that has Debian's packages and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.pages import Block, PageShell, blocks

PRODUCTION = ROOT / "docs/how-to/production.md"
PGBOUNCER = ROOT / "docs/how-to/pgbouncer.md"
# What the installation of Debian's packages does: it makes a cluster and starts what it brings. Newer ones
# than those that are here cannot be had.
AS_INSTALLED = """
echo 'APT::Get::Upgrade "false";' > /etc/apt/apt.conf.d/as-installed
rm --force --recursive /etc/postgresql/15/main /var/lib/postgresql/15/main
pg_createcluster 15 main
systemctl add-wants --quiet postgresql.service postgresql@15-main.service
systemctl enable --quiet --now postgresql.service nginx.service
"""
# From a client that claims to be another one.
FORGED = """
for _ in 1 2 3 4; do
    curl --silent --output /dev/null --write-out '%{http_code}\\n' --interface 127.0.0.9 \
        --cacert /etc/ssl/certs/deploy.example.com.pem --header "X-Forwarded-For: 198.51.100.7" \
        --data {} https://deploy.example.com/webhook
done
"""
SENDERS = "SELECT DISTINCT client FROM tb_refused_deliveries"


@pytest.fixture
def bare_machine(root_shell: PageShell) -> PageShell:
    """A shell on a machine on which `apt-get install` has done its part."""
    for program in ("/usr/bin/pg_createcluster", "/usr/sbin/nginx", "/usr/bin/caddy", "/usr/sbin/pgbouncer"):
        if not Path(program).exists():
            pytest.skip(f"{program} is not installed")
    root_shell.run(AS_INSTALLED)
    return root_shell


def under(page: Path, heading: str) -> list[Block]:
    """Return the blocks under a heading of a page."""
    lines = page.read_text().splitlines()
    start = lines.index(f"## {heading}") + 1
    end = next(
        (number for number, line in enumerate(lines, 1) if number > start and line.startswith("## ")),
        len(lines),
    )
    return [block for block in blocks(page) if start < block.line < end]


def follow(machine: PageShell, *page_blocks: Block) -> None:
    for block in page_blocks:
        machine.execute(block)


def ready(machine: PageShell, *ports: int) -> None:
    for port in ports:
        machine.run(f"curl --silent --fail --retry 9 --retry-all-errors http://127.0.0.1:{port}/readyz")


def test_whoever_follows_them_deploys_through_each_proxy_and_pgbouncer_and_survives_a_boot(
    bare_machine: PageShell,
) -> None:
    page = blocks(PRODUCTION)
    caddy = page.index(under(PRODUCTION, "Caddy instead of nginx")[0])
    follow(bare_machine, *page[:caddy])
    bare_machine.run("systemctl stop fraisier-webhook@8080.service")  # the other one is left
    bare_machine.expect(FORGED, "401\n" * 4)
    follow(bare_machine, *page[caddy:])
    bare_machine.expect(FORGED, "401\n" * 4)
    bare_machine.expect(
        f"runuser --user fraisier -- psql --tuples-only --command '{SENDERS}' fraisier", "127.0.0.9"
    )
    follow(bare_machine, *blocks(PGBOUNCER))

    bare_machine.run("systemctl stop pgbouncer.service")
    bare_machine.expect("curl --silent --fail http://127.0.0.1:8080/readyz || echo refused", "refused")
    bare_machine.run("systemctl start pgbouncer.service")
    ready(bare_machine, 8080)
    follow(
        bare_machine, under(PRODUCTION, "The database")[-1], under(PRODUCTION, "The units")[-1]
    )  # to upgrade
    bare_machine.run("systemctl stop my-api.service 'fraisier-*' postgresql.service")
    bare_machine.run("systemctl start multi-user.target")
    ready(bare_machine, 8080, 8081)
    bare_machine.expect("curl --silent http://127.0.0.1:8000/", "hello, this is version 1")
