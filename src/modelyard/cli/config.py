"""``modelyard config``."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from modelyard.cli.context import Json
from modelyard.cli.output import console, plain, print_json, table, text
from modelyard.cli.train import SetOption, SweepArgument, load_sweep
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import UserError
from modelyard.domain.introspection import configs, describe, kinds, nested_configs
from modelyard.domain.validation import nearest

app = typer.Typer(help="Show what a sweep file can hold.", no_args_is_help=True)


@app.command("schema")
def schema(
    *,
    field: Annotated[
        str | None, typer.Argument(metavar="FIELD", help="Only this part, such as run.optimizer.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """List every field of a sweep file with its type, default and meaning; with --json, the JSON schema."""
    if as_json and field is None:
        print_json(SweepSpec.model_json_schema())
        return
    owners = _owners(field)
    if as_json:
        print_json({_title(owner): owner.model_json_schema() for owner in owners})
        return
    for owner in owners:
        _print(owner)


@app.command("show")
def show(*, sweep: SweepArgument, edits: SetOption = None, as_json: Json = False) -> None:
    """Print a sweep file with all defaults filled in and its content hash."""
    spec = load_sweep(sweep, edits=edits)
    document = spec.model_dump(mode="json")
    if as_json:
        print_json({"hash": spec.hash, "sweep": document})
        return
    typer.echo(f"# content hash {spec.hash}")
    typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip())


def _owners(path: str | None) -> list[type[BaseModel]]:
    """Return the config classes at ``path``: all kinds of a part. Raises ``UserError`` with the nearest name."""
    owners: list[type[BaseModel]] = [SweepSpec]
    for name in path.split(".") if path else []:
        known = sorted({field for owner in owners for field in owner.model_fields})
        fields = [owner.model_fields[name] for owner in owners if name in owner.model_fields]
        if not fields:
            raise UserError(f"no field {name!r} in {path!r}{nearest(name, known)}")
        inner = [config for field in fields for config in nested_configs(field.annotation)]
        if not inner:  # a value: show the part that it is in
            return [owner for owner in owners if name in owner.model_fields]
        owners = list(dict.fromkeys(inner))
    return owners


def _print(owner: type[BaseModel]) -> None:
    out = console()
    summary = (owner.__doc__ or "").strip().splitlines()[0] if owner.__doc__ else ""
    out.print(f"[bold]{_title(owner)}[/]  {text(summary)}")
    grid = table("field", "takes", "default", "meaning")
    for name, takes, default, meaning in _rows(owner):
        grid.add_row(f"  {text(name)}", text(takes), text(default), text(meaning))
    out.print(grid)
    out.print()


def _rows(owner: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in owner.model_fields.items():
        default: Any = field.get_default(call_default_factory=True)
        shown = "required" if default is PydanticUndefined else _short(default)
        named = kinds(configs(field.annotation))
        takes = " | ".join(named) if named else describe([field.annotation])
        yield name, takes, shown, field.description or ""


def _short(default: Any) -> str:
    """Write a default as in a sweep file; of a part, its name."""
    if isinstance(default, BaseModel):
        dumped = default.model_dump()
        return str(dumped.get("name") or dumped.get("source") or "{...}")
    if isinstance(default, tuple) and any(isinstance(item, BaseModel) for item in default):
        return f"[{', '.join(_short(item) for item in default)}]"
    return "null" if default is None else yaml.safe_dump(plain(default), default_flow_style=True).split("\n")[0]


def _title(owner: type[BaseModel]) -> str:
    fields = owner.model_fields
    for tag in ("name", "source"):
        if tag in fields and kinds([owner]):
            return " / ".join(kinds([owner]))
    return owner.__name__
