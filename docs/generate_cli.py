"""Writes docs/guide/cli.md from the commands themselves. ``make docs`` calls it, and a test checks that it did."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from modelyard.cli.main import root
from modelyard.domain import errors

PAGE = Path(__file__).parent / "guide" / "cli.md"

_HEAD = """# Command line

This page is generated from the code (`make docs`), so it says what is true.

```
modelyard [--home FOLDER] COMMAND [OPTIONS] [ARGUMENTS]
```

- **Home**: `--home`, which stands before the command, or the environment variable `MODELYARD_HOME`; by default
  `~/.modelyard`. `--database-url` or `MODELYARD_DATABASE_URL` puts the state into PostgreSQL instead of SQLite.
- **Names**: a run is named by its name (`digits-3`), its id, or the first four or more characters of its id. Where a
  command takes several runs, the name of an experiment stands for all of its runs. `run:NAME` and `experiment:NAME`
  tell the two apart where both have the name.
- **JSON**: every command takes `--json` and writes one JSON document to standard output (`modelyard runs logs`: one per
  line). Times are UTC. A number that is not finite is null. An error is `{"error": {"kind", "message", "exit_code"}}`.
- **Edits**: `--set FIELD=VALUE` changes a field of a config, such as `--set optimizer.learning_rate=0.01` or
  `--set model.hidden_sizes=[64,32]`. The value is read as in a sweep file. Setting the kind of a part
  (`--set optimizer.name=sgd`) keeps the fields that were chosen and that the new kind has; others get its defaults.
- **Completion**: `modelyard --install-completion` completes commands, options, runs and experiments in your shell.

## Exit codes

| code | meaning | errors |
|---:|---|---|
| 0 | done | |
"""

_TAIL = """| 130 | Ctrl-C, twice while training | |
| 143 | SIGTERM while training: runs were saved and queued again | |

`modelyard train` ends with 0 when all runs are completed, stopped, or paused by you, and with 5 if a run
failed, or a search ended because no run reports what it goes by.

## Filters

`modelyard runs list --filter` takes conditions on the state, the name, any config field by its dotted path, and the
last value of any metric:

```
modelyard runs list --filter 'val_accuracy > 0.9 and state = completed'
modelyard runs list --filter 'optimizer.name in (adamw, lion) and not name ~ test' --sort -val_accuracy
modelyard runs list --filter 'training.ema = null or `recall/class 3` < 0.5' --columns seed,val_loss
```

| write | meaning |
|---|---|
| `=` `!=` `<` `<=` `>` `>=` | comparison of numbers or texts |
| `~` `!~` | contains, does not contain; without regard to case |
| `in (a, b)`, `not in (a, b)` | one of several values |
| `and`, `or`, `not`, `( )` | `and` binds tighter than `or` |
| `true`, `false`, `null` | constants; a list is compared as JSON without spaces: `'[64,64]'` |
| backticks | around a field with spaces or brackets in its name |

Besides config and metrics, a run has the fields `id`, `name`, `project`, `experiment`, `state`, `reason`, `parent`,
`priority`, `attempt`, `step` and `epoch`. A comparison with a field that a run does not have is false.

## Training in a terminal, in a pipe

`modelyard train` and `modelyard resume` show a live table in a terminal: state, progress, the curve of the training
loss, the first validation metric, samples per second, time left, and why a run is where it is. What has not been
measured yet is left empty. In a pipe they write a line per change of state and per epoch; runs with
epochs of less than a quarter of a second write one for several. Ctrl-C pauses all runs
and waits until they are saved; a second Ctrl-C ends at once, and the runs go on from their last checkpoints.
`modelyard resume NAME` goes on.

From another terminal, `modelyard pause`, `modelyard stop`, `modelyard tune` and `modelyard clone` act on runs while
they train. They wait until the engine has acknowledged, up to `--timeout` seconds, and say so if it has not.

## Commands
"""


def page() -> str:
    """Return the text of the whole page."""
    sections = [_HEAD.rstrip("\n"), *_exit_codes(), _TAIL]
    group: Any = typer.main.get_command(root)
    for name in group.entries:
        command = group.load(name)
        if hasattr(command, "commands"):
            sections += [
                text for inner, found in command.commands.items() for text in _command(f"{name} {inner}", found)
            ]
        else:
            sections += _command(name, command)
    return "\n".join(sections)


def _exit_codes() -> Iterator[str]:
    """Yield one row for each exit code that an error has; the meaning is that of the code's first error."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ModelyardError)
    ]
    for code in sorted({kind.exit_code for kind in kinds}):
        names = [kind for kind in kinds if kind.exit_code == code]
        meaning = (names[0].__doc__ or "").split(".", maxsplit=1)[0].split(";", maxsplit=1)[0]
        if code == errors.ModelyardError.exit_code:
            meaning = "a failure that has no code of its own, or a question answered with no"
        yield f"| {code} | {meaning[0].lower()}{meaning[1:]} | {', '.join(f'`{kind.__name__}`' for kind in names)} |"


def _command(name: str, command: Any) -> Iterator[str]:
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    needed = [parameter for parameter in shown if parameter not in arguments and parameter.required]
    words = " ".join([*map(_usage, arguments), *(_names(option).split(",")[0].strip("`") for option in needed)])
    yield f"### modelyard {name}\n"
    yield f"{' '.join(command.help.split())}\n"
    yield f"```\nmodelyard {name} {words}".rstrip() + "\n```\n"
    yield "| option | meaning |\n|---|---|"
    for parameter in [*arguments, *(option for option in shown if option not in arguments)]:
        yield f"| {_names(parameter)} | {_meaning(parameter)} |"
    yield ""


def _usage(argument: Any) -> str:
    word = (argument.metavar or argument.name.upper()).strip("[]")
    return word if argument.required else f"[{word}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_usage(parameter)}`"
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper().replace('AS_', '')}"
    return ", ".join(f"`{name}{value if name.startswith('--') else ''}`" for name in parameter.opts)


def _meaning(parameter: Any) -> str:
    return " ".join(parameter.help.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
