"""Writes web/openapi.json from the server's routes; ``npm run api`` makes the page's client of it."""

import json
from pathlib import Path

from modelyard.server.app import openapi_document

PAGE = Path(__file__).parent / "openapi.json"


def text() -> str:
    """Return the file's text."""
    return json.dumps(openapi_document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(text())
