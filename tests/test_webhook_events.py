"""The table of what each forge sends, and what happens then, is what the providers' fixtures say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.environments import ROOT

PAGE = ROOT / "docs/reference/webhooks.md"
EXPECTED = ".expected.json"
FORGES = {
    "GitHub": "fraisier-github/tests/fixtures",
    "GitLab": "fraisier-gitlab/tests/fixtures",
    "Gitea, Forgejo": "fraisier-gitea/tests/fixtures/gitea",
    "Gogs": "fraisier-gitea/tests/fixtures/gogs",
    "Bitbucket Cloud": "fraisier-bitbucket/tests/fixtures/cloud",
    "Bitbucket Data Center": "fraisier-bitbucket/tests/fixtures/data_center",
}
# What happened, by the detail in the name of a fixture.
KINDS = {
    "branch": "A branch is pushed",
    "branch_created": "A branch is created",
    "branch_forced": "A branch is force-pushed",
    "branch_deleted": "A branch is deleted",
    "branch_sha256": "A branch of a repository with SHA-256 ids is pushed",
    "tag": "A tag is created",
    "tag_annotated": "An annotated tag is created",
    "tag_moved": "A tag is moved",
    "tag_deleted": "A tag is deleted",
    "several_refs": "Several refs are pushed at once",
    "no_refs": "More refs are pushed than the forge lists",
    "commits_cut": "More commits are pushed than the forge lists",
    "no_clone_links": "The forge does not say the repository's address",
    "access_token": "An access token pushes",
    "system_hook": "A system hook tells of a branch",
    "system_hook_tag": "A system hook tells of an annotated tag",
    "other_ref": "A ref is pushed that is neither a branch nor a tag",
    "test": "A test delivery",
    "test_without_commit": "A test delivery that names no commit",
    "other": "Any other event",
}
TESTS = ("ping", "diagnostics_ping")


def kind(fixture: Path) -> str:
    event, _, detail = fixture.name.removesuffix(EXPECTED).partition("-")
    return detail or ("test" if event in TESTS else "other")


def cell(expected: Any) -> str:
    if isinstance(expected, dict):
        return f"`{expected['ignored']['event']}`: ignored"
    commits = [push["after"] for push in expected if push["after"]]
    outcome = "deploys each" if len(expected) > 1 else "deploys" if commits else "never deploys"
    return f"`{expected[0]['event']}`: {outcome}"


def cells(folder: str, wanted: str) -> str:
    paths = sorted((ROOT / "packages" / folder).glob(f"*{EXPECTED}"), reverse=True)
    found = [cell(json.loads(path.read_text())) for path in paths if kind(path) == wanted]
    return "; ".join(found) or "-"


def table() -> list[str]:
    lines = [f"| | {' | '.join(FORGES)} |", f"|---|{'---|' * len(FORGES)}"]
    for wanted, title in KINDS.items():
        lines.append(f"| {title} | {' | '.join(cells(folder, wanted) for folder in FORGES.values())} |")
    return lines


def test_every_fixture_is_of_a_kind_that_the_table_has() -> None:
    found = {
        kind(path) for folder in FORGES.values() for path in (ROOT / "packages" / folder).glob(f"*{EXPECTED}")
    }
    assert found == set(KINDS)
    fixtures = {path.parent for path in (ROOT / "packages").glob(f"*/tests/fixtures/**/*{EXPECTED}")}
    assert fixtures == {ROOT / "packages" / folder for folder in FORGES.values()}


def test_the_page_has_the_table() -> None:
    shown = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert "\n".join(table()) in "\n".join(shown)
