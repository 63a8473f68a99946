"""Makes a module of the text that a run keeps of a user's file; the file itself is not read again."""

import linecache
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from modelyard.domain.errors import ConfigError, NotFoundError
from modelyard.domain.parts.usercode import UserCode
from modelyard.domain.ports import BlobStore
from modelyard.domain.validation import nearest
from modelyard.tasks.usercode.calling import RAISED, where_it_failed


def read_code(config: UserCode, blobs: BlobStore) -> str:
    """Return the text that a run was submitted with. Raises ``CorruptBlobError``, ``NotFoundError`` if it is gone."""
    if config.code is None:
        raise NotFoundError(f"{config.file}: the run was submitted without a snapshot of its code")
    blobs.verify(config.code)
    with blobs.open(config.code) as file:
        return file.read().decode()


def load_entry(config: UserCode, source: str) -> Any:
    """Return the class or function of a config from the text of its file.

    Raises ``ConfigError`` for a text that cannot be run, or that does not have it.
    """
    module = _load(source, config.file)
    if not hasattr(module, config.entry):
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        raise ConfigError(f"{config.file}: there is no {config.entry!r} in it{nearest(config.entry, own)}")
    return getattr(module, config.entry)


@cache
def _load(source: str, file: str) -> ModuleType:
    """Run a text as the module of ``file``; the same text is run once in a process."""
    name = f"modelyard_user_code_{abs(hash((source, file))):x}"
    module = ModuleType(name)
    module.__file__ = file
    # Tracebacks show the lines of the text, whatever the file says by now.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    sys.modules[name] = module  # dataclasses and type hints look their module up
    before = set(sys.modules)
    try:
        exec(compile(source, file, "exec"), vars(module))  # noqa: S102 - running the user's own code is the task
    except RAISED as error:
        del sys.modules[name]
        raise ConfigError(f"{where_it_failed(error, file)}: {_problem(error)}") from error
    _refuse_neighbours(file, set(sys.modules) - before)
    return module


def _problem(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"not valid Python: {error.msg}"
    problem = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError):
        problem += "; a run keeps this one file, so put what it needs into it, or install it as a package"
    return problem


def _refuse_neighbours(file: str, imported: set[str]) -> None:
    """Raise ``ConfigError`` if the file imported another one beside it: the run would not keep that."""
    folders = {Path(file).parent, Path.cwd()}
    for name in sorted(imported):
        origin = getattr(sys.modules[name], "__file__", None)
        if origin is None or "." in name:
            continue
        path = Path(origin)
        if (path.parent.parent if path.name == "__init__.py" else path.parent) in folders:
            raise ConfigError(
                f"{file}: it imports {path.name if path.name != '__init__.py' else path.parent.name} from the folder "
                "beside it; a run keeps this one file, so put that into it, or install it as a package"
            )
