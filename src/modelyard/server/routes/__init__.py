"""Routes: what is asked for, and what answers it. No rules, no SQL."""

from fastapi import APIRouter

from modelyard.server.routes import (
    activity,
    devices,
    experiments,
    operations,
    queue,
    runs,
    storage,
    stream,
    system,
)

api = APIRouter(prefix="/api/v1")
for part in (system, experiments, runs, operations, stream, storage, activity, devices, queue):
    api.include_router(part.router)
