"""Commands that are imported when they are called, so that ``modelyard --help`` stays fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class Entry:
    """Where a command is (``module:attribute``), and the line that ``--help`` shows for it."""

    where: str
    help: str


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and help line only, until one of them is called."""

    entries: Mapping[str, Entry] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, entry in self.entries.items():
            self.add_command(TyperCommand(name, callback=None, help=entry.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command for ``args`` and import it."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        if name is None or placeholder is None:
            return name, placeholder, rest
        return name, self.load(name), rest

    def load(self, name: str) -> Any:
        """Import one command."""
        module, attribute = self.entries[name].where.split(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            app = typer.Typer(add_completion=False, rich_markup_mode="rich")
            app.command(name)(found)
            found = app
        command = typer.main.get_command(found)
        command.name = name
        return command
