"""Builds the page into the wheel, so that installing it needs no Node."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):
    """Runs before every build."""

    def dependencies(self) -> list[str]:
        """Return what the build needs besides hatchling: Node, where there is none."""
        tools = self._tools()
        return [] if tools is None or tools.has_node() else [tools.WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page. A wheel without it would be broken; an editable install works, and its server says so."""
        del build_data
        tools = self._tools()
        if tools is None:  # a source distribution has the page and not its sources
            return
        try:
            tools.build()
        except tools.NodeError as error:
            if version != "editable":
                raise
            self.app.display_warning(f"the page was not built: {error}; try again with: make page")

    def _tools(self) -> Any:
        path = Path(self.root) / "web" / "npm.py"
        if not path.exists():
            return None
        spec = importlib.util.spec_from_file_location("modelyard_npm", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
