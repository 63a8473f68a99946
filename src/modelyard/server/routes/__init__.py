"""Routes: what is asked for, and what answers it. No rules, no SQL."""

from fastapi import APIRouter

from modelyard.server.routes import (
    artifacts,
    checkpoints,
    experiments,
    lineage,
    operations,
    predictions,
    runs,
    storage,
    stream,
    system,
)

api = APIRouter(prefix="/api/v1")
for part in (system, experiments, runs, artifacts, checkpoints, lineage, operations, predictions, stream, storage):
    api.include_router(part.router)
