"""Routes: what is asked for, and what answers it. No rules, no SQL."""

from fastapi import APIRouter

from modelyard.server.routes import (
    activity,
    alerts,
    artifacts,
    board,
    bundles,
    checkpoints,
    data,
    devices,
    drafts,
    experiments,
    lineage,
    operations,
    predictions,
    queue,
    runs,
    saved_views,
    session,
    storage,
    stream,
    system,
    users,
)

_WHO = (system, session, users, alerts)
_EXPERIMENTS = (experiments, drafts, board, saved_views, bundles)
_RUNS = (runs, artifacts, checkpoints, lineage, operations, predictions)
_HOME = (stream, storage, activity, devices, queue, data)

api = APIRouter(prefix="/api/v1")
for part in (*_WHO, *_EXPERIMENTS, *_RUNS, *_HOME):
    api.include_router(part.router)
