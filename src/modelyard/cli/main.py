"""The command line's entry: one table of commands, one place where errors become messages and exit codes."""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard._version import __version__
from modelyard.cli.lazy import Entry, LazyGroup
from modelyard.domain.errors import ModelyardError, StoreError

USAGE_ERROR = 2
INTERRUPTED = 130


class Root(LazyGroup):
    """All commands, in the order that ``--help`` shows."""

    entries = {
        "init": Entry("modelyard.cli.init:init", "Write a commented sweep file to start from."),
        "train": Entry("modelyard.cli.train:train", "Train every run of a sweep file, live."),
        "up": Entry("modelyard.cli.up:up", "Serve the home on this machine, and train what is queued."),
        "plan": Entry("modelyard.cli.plan:plan", "Say how a sweep would be trained here, and why."),
        "resume": Entry("modelyard.cli.resume:resume", "Go on with paused, stopped or failed runs."),
        "pause": Entry("modelyard.cli.control:pause", "Save runs and give their device back."),
        "stop": Entry("modelyard.cli.control:stop", "Save runs and end them."),
        "tune": Entry("modelyard.cli.control:tune", "Change the learning rate, weight decay or epochs of live runs."),
        "priority": Entry("modelyard.cli.control:priority", "Decide which runs go first."),
        "clone": Entry("modelyard.cli.clone:clone", "Start a new run from an existing one, with edits."),
        "delete": Entry("modelyard.cli.delete:delete", "Delete runs, or experiments with all their runs."),
        "runs": Entry("modelyard.cli.runs:app", "List, compare, read and export runs."),
        "report": Entry("modelyard.cli.report:report", "Write one HTML page about experiments or runs, with charts."),
        "experiments": Entry("modelyard.cli.experiments:app", "List, show and delete experiments."),
        "export": Entry("modelyard.cli.bundles:export", "Write a run or an experiment to a file, for another home."),
        "import": Entry("modelyard.cli.bundles:import_", "Take in what another home exported."),
        "checkpoints": Entry("modelyard.cli.checkpoints:app", "List, show and export checkpoints."),
        "datasets": Entry("modelyard.cli.datasets:app", "Look at data before training on it."),
        "predict": Entry("modelyard.cli.predict:predict", "Classify image files with a checkpoint."),
        "config": Entry("modelyard.cli.config:app", "Show what a sweep file can hold."),
        "storage": Entry("modelyard.cli.storage:storage", "Say what takes how much space."),
        "gc": Entry("modelyard.cli.storage:collect_garbage", "Delete stored bytes that nothing refers to."),
        "users": Entry("modelyard.cli.users:app", "Say who may log in to a server, and as what."),
        "tokens": Entry("modelyard.cli.tokens:app", "Make and revoke keys with which programs ask a server."),
        "secrets": Entry("modelyard.cli.secrets:app", "Keep what runs need and nobody may read, such as HF_TOKEN."),
        "doctor": Entry("modelyard.cli.doctor:doctor", "Check this installation and its home."),
    }


root = typer.Typer(
    cls=Root,
    name="modelyard",
    help="Train many, steer live, ship one: a local-first machine-learning platform.",
    epilog="Exit codes: 0 done, 1 failure, 2 wrong input, 3 not found, 4 not possible now, 5 a run failed, 6 storage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _home(value: str) -> Path:
    if not value:
        raise typer.BadParameter("an empty name is no folder; leave --home out for ~/.modelyard")
    return Path(value)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelyard {__version__}")
        raise typer.Exit


@root.callback()
def options(
    home: Annotated[
        Path | None,
        typer.Option(
            parser=_home,
            metavar="PATH",
            envvar="MODELYARD_HOME",
            show_envvar=True,
            help="Folder with all state; default ~/.modelyard.",
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="MODELYARD_DATABASE_URL",
            show_envvar=True,
            help="PostgreSQL in place of SQLite; others see a command's options, so put a password into the variable.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error becomes one message on standard error.

    With ``--json`` it becomes ``{"error": {"kind", "message", "exit_code"}}`` on standard output instead. A closed pipe
    is no error.
    """
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        return _let_go_of_the_pipe()
    except SystemExit as ended:  # how Click ends when a pipe is closed
        if isinstance(ended.__context__, BrokenPipeError):
            return _let_go_of_the_pipe()
        raise
    return code


def _run(given: list[str]) -> int:
    command: Any = typer.main.get_command(root)
    try:
        code = command.main(args=given, prog_name="modelyard", standalone_mode=False)
    except BrokenPipeError:
        raise
    except (ModelyardError, OSError) as error:
        return _report_known(given, error)
    except typer.TyperException as error:
        return _report_usage(given, error)
    except typer.Abort:
        return _report(given, "Aborted", "nothing was changed", 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the process boundary: a bug is told as one, with its trace
        traceback.print_exc()
        return _report(given, type(error).__name__, f"this is a bug in Modelyard: {error}", 1)
    return code if isinstance(code, int) else 0


def _let_go_of_the_pipe() -> int:
    """Whoever read has seen enough (``| head``): end quietly, and keep the interpreter from flushing once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _report_known(given: Sequence[str], error: ModelyardError | OSError) -> int:
    """Report what we raised on purpose, or what the system refused: a full disk, a folder that cannot be written."""
    if isinstance(error, ModelyardError):
        return _report(given, type(error).__name__, str(error), error.exit_code)
    place = "" if error.filename is None else f"{error.filename}: "
    return _report(given, StoreError.__name__, f"{place}{error.strerror or error}", StoreError.exit_code)


def _report_usage(given: Sequence[str], error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True)
        return USAGE_ERROR
    hint = f"\nSee: {context.command_path} --help" if context is not None else ""
    return _report(given, "UsageError", error.format_message() + hint, USAGE_ERROR)


def _report(given: Sequence[str], kind: str, message: str, exit_code: int) -> int:
    options = given[: given.index("--")] if "--" in given else given
    if "--json" in options:
        typer.echo(json.dumps({"error": {"kind": kind, "message": message, "exit_code": exit_code}}))
    else:
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(message, err=True)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
