"""Every command line that the docs show is one that the program understands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from modelyard.cli.main import root

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Options that do their work while they are parsed.
_ACTING = {"--help", "-h", "--version", "--install-completion", "--show-completion"}
_SHOWN = re.compile(r"(?:modelyard|make) [^\[]")
_INLINE = re.compile(r"`(modelyard [^`]+)`")


def text_of(page: Path) -> str:
    """Return a page with the fenced blocks inside lists moved to the left edge, as the page shows them.

    What `docs/generate_cli.py` takes from the commands themselves is left out.
    """
    written, _, _ = page.read_text().partition("\n## Commands\n")
    return re.sub(r"^ +", "", written, flags=re.MULTILINE)


def command_lines(page: Path) -> Iterator[str]:
    """Yield the commands that a page shows in blocks, and those that its text names with what follows them."""
    text = text_of(page)
    for block in _BLOCK.findall(text):
        yield from (line for line in block.splitlines() if _SHOWN.match(line))
    yield from (f"{mention} ..." for mention in _INLINE.findall(_BLOCK.sub("", text)))


COMMANDS = sorted({(str(page.relative_to(ROOT)), line) for page in PAGES for line in command_lines(page)})


def parse(line: str) -> None:
    """Follow a command line into its command and parse the options there, without running anything.

    A line that ends with dots may lack arguments.
    """
    program, *arguments = shlex.split(line.removesuffix(" ...").split(" #", maxsplit=1)[0])
    command: Any = typer.main.get_command(root)
    context = None
    while True:
        if arguments and arguments[0] in _ACTING:
            assert arguments[0] in {"--help", "-h", *(name for option in command.params for name in option.opts)}
            return
        if not hasattr(command, "resolve_command"):
            _parse_options(command, program, arguments, context, complete=not line.endswith(" ..."))
            return
        context = command.make_context(program, list(arguments), parent=context)
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        program, command, arguments = command.resolve_command(context, rest)


def _parse_options(command: Any, program: str, arguments: list[str], context: Any, *, complete: bool) -> None:
    try:
        command.make_context(program, arguments, parent=context)
    except typer.TyperException as error:
        if complete or type(error).__name__ not in {"MissingParameter", "BadOptionUsage"}:
            raise


@pytest.mark.parametrize(("page", "line"), [entry for entry in COMMANDS if entry[1].startswith("modelyard")])
def test_a_documented_command_and_all_its_options_exist(page: str, line: str) -> None:
    try:
        parse(line)
    except typer.TyperException as error:
        pytest.fail(f"{page}: `{line}`: {error.format_message()}")


def test_there_are_commands_to_check_and_a_wrong_one_is_noticed() -> None:
    assert len(COMMANDS) > 20
    for wrong in (
        "modelyard trian x.yaml",
        "modelyard pause RUN --wiat",
        "modelyard resume",
        "modelyard pause --wiat ...",
    ):
        with pytest.raises(typer.TyperException):
            parse(wrong)


@pytest.mark.parametrize(("page", "line"), [entry for entry in COMMANDS if entry[1].startswith("make ")])
def test_a_documented_make_target_exists(page: str, line: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line.split("#", maxsplit=1)[0].split()[1] in targets, page
