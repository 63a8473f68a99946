"""Routes: what is asked for, and what answers it. No rules, no SQL."""

from fastapi import APIRouter

from modelyard.server.routes import (
    activity,
    alerts,
    bundles,
    data,
    devices,
    drafts,
    experiments,
    operations,
    queue,
    runs,
    session,
    storage,
    stream,
    system,
    users,
)

api = APIRouter(prefix="/api/v1")
for part in (system, session, users, experiments, runs, operations, stream, storage):
    api.include_router(part.router)
for part in (activity, devices, queue, bundles, alerts, drafts, data):
    api.include_router(part.router)
