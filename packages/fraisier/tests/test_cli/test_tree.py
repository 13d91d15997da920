from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import fraisier.cli
import pytest
from fraisier.cli.tree import COMMANDS, load_command

from .installation import Installation

ARGUMENTS = {
    "to": "target",
    "fraise": "my_api",
    "environment": "production",
    "file": "missing.db",
    "document": "{ fraises { id } }",
    "name": "laptop",
    "scope": "read",
    "token": "laptop",
    "reason": "an incident",
    **dict.fromkeys(["deployment", "delivery", "what"], "abcd"),
}


def leaves(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    """Yield every command below one, with the words that call it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield words, command
        return
    for name, each in below.items():
        yield from leaves([*words, name], each)


LEAVES = [leaf for name in COMMANDS for leaf in leaves([name], load_command(name))]


def required(command: Any) -> list[str]:
    return [word for each in command.params if each.required for word in words_of(each)]


def words_of(parameter: Any) -> list[str]:
    options = [name for name in parameter.opts if name.startswith("--")]
    return [*options[:1], ARGUMENTS[parameter.name]]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_of_itself_what_the_tree_says_of_it(name: str) -> None:
    assert inspect.cleandoc(load_command(name).help).splitlines()[0] == COMMANDS[name]


def test_every_module_that_has_a_command_is_in_the_tree() -> None:
    found = {path.stem for path in Path(fraisier.cli.__file__).parent.glob("*.py")} - {"__init__", "tree"}
    assert {name for name in found if hasattr(import_module(f"fraisier.cli.{name}"), "app")} == set(COMMANDS)


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[" ".join(words) for words, _ in LEAVES])
def test_a_configuration_given_before_or_after_a_command_reaches_it(
    installation: Installation, words: list[str], command: Any
) -> None:
    installation.config.unlink()
    missing = "missing.yaml"
    takes_it = any(each.name == "config" for each in command.params)
    before = installation.run("-c", missing, *words, *required(command))
    if not takes_it:  # it does well without any configuration
        assert before.returncode == 0
        return
    after = installation.run(*words, *required(command), "-c", missing)
    both = installation.run("-c", "other.yaml", *words, *required(command), "-c", missing)
    for done in (before, after, both):
        assert (done.returncode, done.stderr) == (3, f"{missing}: no such file (named by -c)\n")
