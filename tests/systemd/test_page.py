"""The how-to guides for systemd and for what a timer runs, executed from its first block to its last."""

from __future__ import annotations

from tests.environments import ROOT
from tests.pages import PageShell, blocks

PAGE = ROOT / "docs/how-to/systemd.md"
SCHEDULED = ROOT / "docs/how-to/scheduled.md"


def test_its_units_deploy_a_push_to_whoever_follows_it_once_and_again_and_survive_a_boot(
    root_shell: PageShell,
) -> None:
    for block in blocks(PAGE) * 2:
        root_shell.execute(block)
    for block in blocks(SCHEDULED):
        root_shell.execute(block)
    # A boot starts what `multi-user.target` wants, which is what is enabled.
    root_shell.run("systemctl stop my-api.service fraisier-worker.service fraisier-webhook.service")
    root_shell.run("systemctl start multi-user.target")
    root_shell.expect("curl --silent http://127.0.0.1:8000/", "hello, this is version 1")
    root_shell.run("curl --silent --fail --retry 9 --retry-all-errors http://127.0.0.1:8080/readyz")
