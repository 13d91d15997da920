"""Explanations as people read them: the answer first, then what it rests on, and what changes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fraisier_core.push import spoken_ref

from fraisier.cli.tables import COLOURS, GAP, print_wrapped, short_commit, short_ids
from fraisier.terminal import say

if TYPE_CHECKING:
    from fraisier_core.requests.explaining import EnvironmentVerdict, Explanation, RefVerdict

DEEPER = GAP * 2


def explanation_as_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation for machines."""
    return asdict(explanation)


def print_explanation(explanation: Explanation, title: str | None = None) -> None:
    """Print an explanation, and after its answer the title of what it explains."""
    _print(explanation.answer)
    _print_remedies(explanation.settings, explanation.commands, GAP)
    if title:
        say("")
        _print(title)
    for each in explanation.outcomes:
        say("")
        what = f"{each.fraise_id} {each.environment} (deployment {each.deployment_id}): {each.text}"
        _print(what, colour=COLOURS.get(each.status))
        _print_remedies(each.settings, each.commands, GAP)
    if explanation.problem:
        say("")
        _print(explanation.problem, colour="yellow")
    for ref in explanation.refs:
        _print_ref(ref)


def _print_ref(ref: RefVerdict) -> None:
    commit = f" at {short_commit(ref.commit_sha)}" if ref.commit_sha else ""
    say("")
    _print(f"Under the configuration of today, for {spoken_ref(ref.ref)}{commit}:")
    for each in ref.environments:
        _print_environment(each)


def _print_environment(found: EnvironmentVerdict) -> None:
    verdict = "requested" if found.requested else "not requested"
    _print(f"{found.fraise_id} {found.environment}: {verdict}", GAP, "green" if found.requested else None)
    for rule in found.rules:
        _print(f"rule {rule.pattern}: {rule.reason}", DEEPER)
    if not found.rules:
        _print("no rule of branch_mapping names it", DEEPER)
    if found.problem and not found.elsewhere:
        _print(found.problem, DEEPER, "red")
    _print_remedies(found.settings, found.commands, DEEPER)


def _print_remedies(settings: Iterable[str], commands: Iterable[str], indent: str) -> None:
    """Print each setting and each command on a line of its own, to be copied."""
    for setting in settings:
        _print(f"setting: {setting}", indent)
    for command in commands:
        say(f"{indent}command: {short_ids(command)}")


def _print(text: str, indent: str = "", colour: str | None = None) -> None:
    print_wrapped(short_ids(text), indent, colour)
