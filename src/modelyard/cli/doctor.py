"""``modelyard doctor``."""

import typer

from modelyard.api.health import Verdict, check_all
from modelyard.cli.context import Json, database_option, home_option
from modelyard.cli.output import console, plain, print_json, text

_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "red"}
_FOUND_PROBLEMS = 1


def doctor(ctx: typer.Context, *, as_json: Json = False) -> None:
    """Check Python, torch and its devices, disk space, the home and dead workers; ends with 1 if something is wrong."""
    checks = []
    for check in check_all(home_option(ctx), database_option(ctx)):
        checks.append(check)
        if not as_json:
            style = _STYLES[check.verdict]
            console().print(f"[{style}]{check.verdict.value:8}[/] {text(check.name)}: {text(check.message)}")
    if as_json:
        print_json([plain(check) for check in checks])
    if any(check.verdict is Verdict.PROBLEM for check in checks):
        raise typer.Exit(_FOUND_PROBLEMS)
