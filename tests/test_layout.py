"""What must hold for the repository as a whole."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "modelyard"
PACKAGES = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
MAY_USE_TORCH = {"tasks", "engine", "compute", "release"}
MAY_USE_SQL = {"store"}

# Written in pieces, so that this file does not hold what it looks for.
_REGISTRIES = re.compile(
    "|".join(
        ["pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.(org|com)", "deb" + r"\.debian", r"registry\." + "npm"]
    )
)
_MACHINE_PATHS = re.compile("|".join([r"/wo" + r"rk/(main|shared)", r"/ro" + r"ot/", r"/ho" + r"me/\w"]))


def tracked_files() -> list[Path]:
    """Return the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def texts() -> dict[str, str]:
    found = {}
    for path in tracked_files():
        data = path.read_bytes()
        if b"\0" not in data:
            found[str(path.relative_to(ROOT))] = data.decode()
    return found


TEXTS = texts()
PYTHON = {name: text for name, text in TEXTS.items() if name.endswith(".py")}


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    for pattern in (_REGISTRIES, _MACHINE_PATHS):
        assert [name for name, text in TEXTS.items() if pattern.search(text)] == []


def test_no_file_is_longer_than_400_lines() -> None:
    assert [name for name, text in PYTHON.items() if text.count("\n") > 400] == []


def calls_and_imports(text: str) -> set[str]:
    """Return dotted names of what a module imports and calls."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call):
            found.add(ast.unparse(node.func))
    return found


def test_nothing_is_ever_unpickled() -> None:
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "torch.load", "torch.save", "np.load"}
    guilty = {
        name: used
        for name, text in PYTHON.items()
        if name.startswith("src/") and (used := calls_and_imports(text) & forbidden)
    }
    assert guilty == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_a_note_that_is_in_the_contents(package: str) -> None:
    note = ROOT / "docs" / f"{package}.md"
    assert note.is_file(), f"write docs/{package}.md: what the package is, and one line for each file"
    assert f"{package}.md" in (ROOT / "mkdocs.yml").read_text()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_note_names_only_files_that_exist(package: str) -> None:
    note = ROOT / "docs" / f"{package}.md"
    files = {f"/{path.relative_to(SOURCE / package)}" for path in (SOURCE / package).rglob("*.py")}
    first_cells = re.findall(r"^\| (`[^|]*) \|", note.read_text() if note.is_file() else "", re.MULTILINE)
    named = [name for cell in first_cells for name in re.findall(r"`([\w/]+\.py)`", cell)]
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in files)] == []


def test_tests_have_unique_names() -> None:
    names = [path.name for path in ROOT.glob("tests/**/test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_the_import_contracts_cover_every_package() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers, torch, sql = contracts
    named = set(re.findall(r"modelyard\.(\w+)", " ".join(layers["layers"])))
    assert set(PACKAGES) <= named
    assert {f"modelyard.{name}" for name in set(PACKAGES) - MAY_USE_TORCH} == set(torch["source_modules"])
    assert {f"modelyard.{name}" for name in set(PACKAGES) - MAY_USE_SQL} == set(sql["source_modules"])
