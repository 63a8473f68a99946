"""Named views of a project's boards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select

from modelyard.domain.base import canonical_json
from modelyard.domain.errors import ConflictError, NotFoundError, UserError
from modelyard.domain.events import ViewDeleted, ViewSaved
from modelyard.store import clock, eventfeed
from modelyard.store.database import Database
from modelyard.store.references import did_you_mean
from modelyard.store.schema import experiments, saved_views

LONGEST_NAME = 80
MOST_BYTES = 20_000
MOST_VIEWS = 200
"""Of one project."""


@dataclass(frozen=True, kw_only=True)
class NamedView:
    """What somebody wants to see again."""

    project: str
    name: str
    search: Mapping[str, Any]
    """What the page's address says, by name."""
    saved_by: str
    saved_at: datetime


class SavedViews:
    """Keeps views by project and name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, project: str) -> list[NamedView]:
        """Return the views of a project, by name. One query."""
        query = select(saved_views).where(saved_views.c.project == project).order_by(saved_views.c.name)
        with self._database.read() as connection:
            return [_to_view(row) for row in connection.execute(query)]

    def save(self, project: str, name: str, search: Mapping[str, Any], *, actor: str) -> NamedView:
        """Keep a view in place of the one with this name, if there is one.

        Raises ``NotFoundError`` for a project without experiments, ``UserError`` for a name or content that is too
        long, ``ConflictError`` where there are too many.
        """
        name = name.strip()
        if not 1 <= len(name) <= LONGEST_NAME:
            raise UserError(f"name: a view's name has 1 to {LONGEST_NAME} characters")
        text = _text(search)
        if len(text) > MOST_BYTES:
            raise UserError(f"search: this view has {len(text):,} characters; a view has at most {MOST_BYTES:,}")
        with self._database.write() as connection:
            projects = connection.execute(select(experiments.c.project).distinct()).scalars().all()
            if project not in projects:
                raise NotFoundError(f"no project {project!r}{did_you_mean(project, projects)}")
            connection.execute(delete(saved_views).where(saved_views.c.project == project, saved_views.c.name == name))
            count = connection.execute(select(func.count()).where(saved_views.c.project == project)).scalar_one()
            if count >= MOST_VIEWS:
                raise ConflictError(f"project {project} has {count} views already; delete one of them first")
            row = {"project": project, "name": name, "search": text, "saved_by": actor, "saved_at": clock.now()}
            saved = connection.execute(insert(saved_views).values(row).returning(*saved_views.c)).one()
            eventfeed.append(connection, ViewSaved(project=project, name=name), actor=actor)
        return _to_view(saved)

    def delete(self, project: str, name: str, *, actor: str) -> None:
        """Delete a view. Raises ``NotFoundError``."""
        with self._database.write() as connection:
            same = (saved_views.c.project == project) & (saved_views.c.name == name)
            if connection.execute(delete(saved_views).where(same)).rowcount == 0:
                known = (
                    connection.execute(select(saved_views.c.name).where(saved_views.c.project == project))
                    .scalars()
                    .all()
                )
                raise NotFoundError(f"project {project} has no view {name!r}{did_you_mean(name, known)}")
            eventfeed.append(connection, ViewDeleted(project=project, name=name), actor=actor)


def _text(search: Mapping[str, Any]) -> str:
    try:
        return canonical_json(dict(search))
    except ValueError as error:
        raise UserError("search: a number here is NaN or infinite; leave it out") from error


def _to_view(row: Row[Any]) -> NamedView:
    return NamedView(
        project=row.project,
        name=row.name,
        search=json.loads(row.search),
        saved_by=row.saved_by,
        saved_at=row.saved_at,
    )
