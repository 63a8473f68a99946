"""Every setting that the docs name exists, every sweep that they show is valid, and the settings page is up to date."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard.api.sweepfile import expand_at
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.validation import validate
from modelyard.scheduler.search.paths import locate

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
_YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_FIELD = re.compile(rf"(?:{'|'.join(RunSpec.model_fields)})(?:\.\w+)+")


def shown_sweeps() -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(_YAML.findall(page.read_text()), start=1):
            yield pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize("block", list(shown_sweeps()))
def test_a_shown_sweep_is_marked_as_one_and_valid(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert block.startswith("# sweep\n"), "start a YAML block with '# sweep', so that it is checked"
    monkeypatch.chdir(tmp_path)
    for file in ("my_task.py", "train.py"):  # what a sweep over code of one's own names
        Path(file).touch()
    assert len(expand_at(validate(SweepSpec, yaml.safe_load(block)))) > 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text()
    assert len(expand_at(validate(SweepSpec, yaml.safe_load(text)))) > 1
    assert f"#   modelyard train examples/{path.name}" in text


def test_the_demo_has_eight_runs_and_no_data_to_download() -> None:
    runs = expand_at(validate(SweepSpec, yaml.safe_load((ROOT / "examples" / "digits.yaml").read_text())))
    assert len(runs) == 8
    assert {run.data.source for run in runs} == {"digits"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_field_that_a_page_names_exists(page: Path) -> None:
    for code in _CODE.findall(page.read_text()):
        if _FIELD.fullmatch(code) and not code.endswith(".py"):
            locate(code)


def test_the_settings_page_is_what_the_code_says() -> None:
    path = ROOT / "docs" / "generate_settings.py"
    spec = importlib.util.spec_from_file_location("generate_settings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run `make docs`"
