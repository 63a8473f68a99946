"""The application: routes, errors, and what happens at start and end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.middleware.gzip import GZipMiddleware

from modelyard._version import __version__
from modelyard.server.access import Access
from modelyard.server.attempts import Attempts
from modelyard.server.caching import ConditionalGet
from modelyard.server.context import Context
from modelyard.server.messages import KINDS
from modelyard.server.page import FOLDER, Assets, page_routes
from modelyard.server.problems import Problem, add_problem_handlers
from modelyard.server.routes import api
from modelyard.server.routes.session import HASHES_AT_ONCE

MOST_BYTES = 8 << 20
"""A larger body of a request is refused."""
SMALLEST_COMPRESSED = 1_000
_DESCRIPTION = "Everything that the page and the command line do. Errors are problem documents (RFC 9457)."


def create_app(context: Context, *, actor: str) -> FastAPI:
    """Return the application for one open store; ``actor`` is who asks, where no login is demanded."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        inspections = context.inspections  # made before threads ask for it
        following = asyncio.create_task(context.live.run())
        models = context.models
        try:
            yield
        finally:
            context.live.close()
            await asyncio.to_thread(inspections.close)
            await following
            await asyncio.to_thread(models.close)

    app = _application(lifespan)
    app.mount("/assets", Assets(directory=FOLDER / "assets", check_dir=False))
    app.include_router(page_routes())
    app.state.context = context
    app.state.attempts = Attempts()
    app.state.hashing = CapacityLimiter(HASHES_AT_ONCE)
    add_problem_handlers(app)
    app.add_middleware(Access, store=context.store, demanded=context.demands_login, actor=actor)
    app.add_middleware(ConditionalGet)
    app.add_middleware(GZipMiddleware, minimum_size=SMALLEST_COMPRESSED, compresslevel=5)
    return app


def openapi_document() -> dict[str, Any]:
    """Return the description of the API, from which the page's client is generated."""
    return _application(None).openapi()


class _Application(FastAPI):
    """Describes the messages of the stream, too, which OpenAPI has no place for."""

    def openapi(self) -> dict[str, Any]:
        """Return the description of the API."""
        if self.openapi_schema is None:
            document = super().openapi()
            mode: JsonSchemaMode = "serialization"
            messages = [(message, mode) for message in KINDS.values()]
            _, schemas = models_json_schema(messages, ref_template="#/components/schemas/{model}")
            document["components"]["schemas"] |= schemas["$defs"]
            self.openapi_schema = document
        return self.openapi_schema


def _application(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None) -> FastAPI:
    app = _Application(
        title="Modelyard",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        max_body_size=MOST_BYTES,
        responses={"default": {"model": Problem, "description": "What went wrong"}},
        generate_unique_id_function=_operation_id,
    )
    app.include_router(api)
    return app


def _operation_id(route: APIRoute) -> str:
    """Name an operation for generated clients: ``runs_delete``."""
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name
