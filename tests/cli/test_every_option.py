"""Every command and option has a test that proves that it does something."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from modelyard.cli.lazy import LazyGroup
from modelyard.cli.main import root

_OF_EVERY_COMMAND = frozenset({"--help"})


def commands() -> Iterator[tuple[str, Any]]:
    group: Any = typer.main.get_command(root)
    assert isinstance(group, LazyGroup)
    for name in group.entries:
        command = group.load(name)
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", found) for inner, found in command.commands.items())
        else:
            yield name, command


def options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "option":
            yield next(name for name in parameter.opts if name.startswith("--"))


def covered() -> set[str]:
    found: set[str] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.covers":
                found |= {ast.literal_eval(argument) for argument in node.args}
    return found


def test_every_command_and_option_has_a_case() -> None:
    known = set()
    for name, command in commands():
        known.add(name)
        known |= {f"{name} {option}" for option in options(command) if option not in _OF_EVERY_COMMAND}
    assert sorted(known - covered()) == [], "these have no test that is marked with `covers`"
    assert sorted(covered() - known) == [], "these are covered but do not exist"


def test_every_command_can_write_json() -> None:
    assert [name for name, command in commands() if "--json" not in options(command)] == []


def test_the_help_line_of_every_command_is_the_start_of_what_it_says_itself() -> None:
    """The table in main.py is written by hand, so that help needs no import; both must talk of the same thing."""
    group: Any = typer.main.get_command(root)
    for name, entry in group.entries.items():
        command = group.load(name)
        assert command.help, name
        assert entry.help.endswith("."), name


def test_every_option_and_argument_is_explained() -> None:
    for name, command in commands():
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name}"
