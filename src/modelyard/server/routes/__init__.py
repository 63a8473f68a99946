"""Routes: what is asked for, and what answers it. No rules, no SQL."""

from fastapi import APIRouter

from modelyard.server.routes import (
    activity,
    alerts,
    artifacts,
    bundles,
    checkpoints,
    devices,
    experiments,
    lineage,
    operations,
    predictions,
    queue,
    runs,
    session,
    storage,
    stream,
    system,
    users,
)

api = APIRouter(prefix="/api/v1")
for part in (system, session, users, experiments, runs, artifacts, checkpoints, lineage, operations, predictions):
    api.include_router(part.router)
for part in (stream, storage, activity, devices, queue, bundles, alerts):
    api.include_router(part.router)
