"""The guide's page on the command line says what the code does."""

import importlib.util
from pathlib import Path
from typing import Any

from modelyard.domain import errors

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guide" / "cli.md"


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_cli", ROOT / "docs" / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == generator().page(), "run: make docs"


def test_every_error_is_in_the_table_with_its_exit_code() -> None:
    rows = {line.split("|")[1].strip(): line for line in PAGE.read_text().splitlines() if line.startswith("| ")}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.ModelyardError):
            assert f"`{kind.__name__}`" in rows[str(kind.exit_code)]


def test_the_python_page_names_only_what_exists() -> None:
    import re

    from modelyard import Experiment, Run

    page = (ROOT / "docs" / "guide" / "python.md").read_text()
    for title, kind in (("## Experiment", Experiment), ("## Run", Run)):
        section = page.split(title)[1].split("\n## ")[0]
        table = "\n".join(line for line in section.splitlines() if line.startswith("| `"))
        names = set(
            re.findall(
                r"`(?:experiment\.)?([a-z_]+)(?:\(|`)", "\n".join(row.split("|")[1] for row in table.splitlines())
            )
        )
        assert names
        assert {name for name in names if not hasattr(kind, name)} == set()
        public = {name for name in vars(kind) if not name.startswith("_")}
        assert public - names - {"create", "all", "id", "name", "sweep", "close", "record"} == set(), "not on the page"
