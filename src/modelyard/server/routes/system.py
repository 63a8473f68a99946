"""Who serves, and on what."""

from datetime import datetime

from fastapi import APIRouter

from modelyard._version import __version__
from modelyard.agent.presence import live_agents
from modelyard.server.context import Here
from modelyard.server.views import View

router = APIRouter(tags=["system"])


class AgentView(View):
    """A process that trains what is queued."""

    id: str
    host: str
    pid: int


class ServerView(View):
    """This server."""

    version: str
    instance: str
    """Another one after each start."""
    started_at: datetime
    database: str
    """``sqlite`` or ``postgresql``."""
    read_only: bool
    last_seq: int
    """The number of the newest event."""
    agents: list[AgentView]
    """Those of this machine; while there is none, queued runs wait."""
    trouble: str
    """Why the agent that this server started does not work, or an empty string."""


@router.get("/server")
def server(here: Here) -> ServerView:
    """Say who serves, and who trains."""
    database = here.store.database
    return ServerView(
        version=__version__,
        instance=here.instance,
        started_at=here.started_at,
        database="sqlite" if database.is_sqlite else "postgresql",
        read_only=bool(database.read_only),
        last_seq=here.store.events.last_seq(),
        agents=[AgentView(id=one.id, host=one.host, pid=one.pid) for one in live_agents(here.store)],
        trouble=here.trouble(),
    )
