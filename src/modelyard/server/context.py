"""What every route has: the store, the live feed, and who serves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from secrets import token_hex
from typing import Annotated

from fastapi import Depends, Request

from modelyard.agent.model_worker import ModelWorker
from modelyard.api.dataroots import DataRoots
from modelyard.api.inspections import Inspections
from modelyard.server.live import LiveFeed
from modelyard.server.once import Once
from modelyard.server.views import ExperimentView
from modelyard.store import Store


@dataclass(frozen=True, kw_only=True)
class Context:
    """One server."""

    store: Store
    live: LiveFeed
    trouble: Callable[[], str] = str
    """Why the agent that the server started does not work, if so."""
    demands_login: bool = False
    """Whether it has to know who asks."""
    instance: str = field(default_factory=lambda: token_hex(8))
    """Another one after each start: a page that sees it change knows that the server was restarted."""
    data_roots: DataRoots = field(default_factory=DataRoots)
    """Where data may be looked at, and models tried on images."""
    submitted: Once[ExperimentView] = field(default_factory=Once)
    """Sweeps by the keys that clients gave them."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def models(self) -> ModelWorker:
        """The process that predicts; it starts when it is first asked."""
        return ModelWorker(self.store)

    @cached_property
    def inspections(self) -> Inspections:
        """Looks at data sets."""
        return Inspections(self.store.home, self.data_roots.environment)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
"""The context, as a parameter of a route."""


def _actor(request: Request) -> str:
    actor: str = request.state.identity.name
    return actor


Actor = Annotated[str, Depends(_actor)]
"""Who asks, for the record."""
