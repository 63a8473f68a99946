"""The application: routes, errors, and what happens at start and end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

from modelyard._version import __version__
from modelyard.server.caching import ConditionalGet
from modelyard.server.context import Context
from modelyard.server.problems import Problem, add_problem_handlers
from modelyard.server.routes import api

MOST_BYTES = 8 << 20
"""A larger body of a request is refused."""
SMALLEST_COMPRESSED = 1_000
_DESCRIPTION = "Everything that the page and the command line do. Errors are problem documents (RFC 9457)."


def create_app(context: Context, *, actor: str) -> FastAPI:
    """Return the application for one open store; ``actor`` is who asks, on a server without users."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(context.live.run())
        try:
            yield
        finally:
            context.live.close()
            await following

    app = FastAPI(
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
    app.state.context = context
    app.state.actor = actor
    add_problem_handlers(app)
    app.include_router(api)
    app.add_middleware(ConditionalGet)
    app.add_middleware(GZipMiddleware, minimum_size=SMALLEST_COMPRESSED, compresslevel=5)
    return app


def _operation_id(route: APIRoute) -> str:
    """Name an operation for generated clients: ``runs_delete``."""
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name
