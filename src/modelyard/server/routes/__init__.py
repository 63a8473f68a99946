"""Routes: what is asked for, and what answers it. No rules, no SQL."""

from fastapi import APIRouter

from modelyard.server.routes import (
    alerts,
    board,
    bundles,
    experiments,
    operations,
    runs,
    saved_views,
    session,
    storage,
    stream,
    system,
    users,
)

api = APIRouter(prefix="/api/v1")
for part in (system, session, users, experiments, board, saved_views, runs, operations, stream, storage, bundles, alerts):
    api.include_router(part.router)
