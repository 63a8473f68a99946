"""``python -m modelyard.agent.child MODULE ...``: runs the ``main`` of one of our modules in a process of its own.

Nothing is collected while it imports: what modules hold stays, and looking for garbage in it is an eighth of the time.
"""

import gc
import sys
from importlib import import_module


def main() -> int:
    """Run the module that the first argument names, on the other arguments; return its exit code."""
    module = import_module(sys.argv.pop(1))
    gc.freeze()
    gc.enable()
    code: int = module.main()
    return code


def command(module: str) -> list[str]:
    """Return the arguments that start a child process for ``module``."""
    return [sys.executable, "-m", "modelyard.agent.child", module]


if __name__ == "__main__":
    gc.disable()
    sys.exit(main())
