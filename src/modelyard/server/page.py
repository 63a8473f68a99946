"""The page: files that ``web/`` is built into. An address that is no file is the page's own affair."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent / "page"
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_FOREVER = "public, max-age=31536000, immutable"
_NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>Modelyard</title>
<p>The page was not built with this installation; the API is at <a href="/api/v1/openapi.json">/api/v1</a>.</p>
"""


class Assets(StaticFiles):
    """Files whose names change with their content."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """Let browsers keep a file for ever."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = _FOREVER
        return response


def page_routes() -> APIRouter:
    """Return the routes of the page, to be added last: they take every address that nothing else has."""
    router = APIRouter(include_in_schema=False)

    @router.get("/icon.svg")
    def icon() -> Response:
        return FileResponse(FOLDER / "icon.svg", headers=_HEADERS)

    @router.get("/{path:path}")
    def page(path: str) -> Response:
        if path.startswith(("api/", "assets/")):
            raise HTTPException(404)
        index = FOLDER / "index.html"
        if not index.exists():
            return HTMLResponse(_NOT_BUILT, headers=_HEADERS)
        return FileResponse(index, headers=_HEADERS)

    return router
