"""Rules for alerts, and alerts that wait to be sent or were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from modelyard.domain.alerts import Alert, AlertRule, Delivery, KeptRule
from modelyard.domain.errors import NotFoundError, UserError
from modelyard.domain.run import Run
from modelyard.store import clock
from modelyard.store.database import Database
from modelyard.store.references import new_id
from modelyard.store.schema import events
from modelyard.store.schema_access import alert_rules, alerts

MOST_RULES = 100
SENDING_SECONDS = 60
"""So long nobody else sends what one process has begun to send; after a crash it is sent again."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """An alert to be sent now."""

    alert: Alert
    rule: AlertRule


class Alerts:
    """A run matches a rule once, whoever looks, and however often."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rules(self) -> list[KeptRule]:
        """Return all rules, oldest first."""
        with self._database.read() as connection:
            return [_to_rule(row) for row in connection.execute(select(alert_rules).order_by(alert_rules.c.key))]

    def add(self, rule: AlertRule, *, actor: str) -> KeptRule:
        """Add a rule for what happens from now on. Raises ``UserError`` if there are too many."""
        newest = select(func.coalesce(func.max(events.c.seq), 0))
        with self._database.write() as connection:
            if (connection.execute(select(func.count()).select_from(alert_rules)).scalar() or 0) >= MOST_RULES:
                raise UserError(f"there are {MOST_RULES} alerts already; delete one first")
            row = {
                "id": new_id(),
                "rule": rule.model_dump_json(),
                "seq": connection.execute(newest).scalar() or 0,
                "created_at": clock.now(),
                "created_by": actor,
            }
            connection.execute(insert(alert_rules), row)
            return _to_rule(connection.execute(select(alert_rules).where(alert_rules.c.id == row["id"])).one())

    def delete(self, rule_id: str) -> None:
        """Delete a rule with what it told. Raises ``NotFoundError``."""
        with self._database.write() as connection:
            if connection.execute(delete(alert_rules).where(alert_rules.c.id == rule_id)).rowcount == 0:
                raise NotFoundError(f"no alert has the id {rule_id[:80]!r}")

    def tell(self, rule_id: str, run: Run, text: str) -> bool:
        """Note that a run matches a rule; False if that is known already, or the rule is gone."""
        now = clock.now()
        with self._database.write() as connection:
            key = connection.execute(select(alert_rules.c.key).where(alert_rules.c.id == rule_id)).scalar()
            known = (alerts.c.rule_key == key) & (alerts.c.run_id == run.id)
            if key is None or connection.execute(select(alerts.c.run_id).where(known)).first() is not None:
                return False
            row = {
                "rule_key": key,
                "run_id": run.id,
                "run": run.name,
                "text": text,
                "time": now,
                "delivery": Delivery.PENDING.value,
                "attempts": 0,
                "next_at": now,
                "problem": "",
            }
            connection.execute(insert(alerts), row)
            return True

    def looked(self, rule_ids: Sequence[str], seq: int) -> None:
        """Note that rules have looked at all events up to a number."""
        with self._database.write() as connection:
            older = alert_rules.c.id.in_(rule_ids) & (alert_rules.c.seq < seq)
            connection.execute(update(alert_rules).where(older).values(seq=seq))

    def known(self, rule_id: str) -> set[str]:
        """Return the ids of the runs that a rule has told of."""
        query = select(alerts.c.run_id).join_from(alerts, alert_rules).where(alert_rules.c.id == rule_id)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def take_due(self) -> Due | None:
        """Return an alert to send now; others leave it alone for a while."""
        now = clock.now()
        query = (
            _ALERTS.where(alerts.c.delivery == Delivery.PENDING.value, alerts.c.next_at <= now)
            .order_by(alerts.c.next_at)
            .limit(1)
        )
        with self._database.read() as connection:
            if connection.execute(query).first() is None:
                return None
        with self._database.write() as connection:
            found = connection.execute(query).first()
            if found is None:
                return None
            this = (alerts.c.rule_key == found.rule_key) & (alerts.c.run_id == found.run_id)
            later = now + timedelta(seconds=SENDING_SECONDS)
            connection.execute(update(alerts).where(this).values(next_at=later, attempts=found.attempts + 1))
            taken = connection.execute(_ALERTS.where(this)).one()
        return Due(alert=_to_alert(taken), rule=AlertRule.model_validate_json(taken.rule))

    def sent(self, alert: Alert) -> None:
        """Note that an alert arrived."""
        self._note(alert, delivery=Delivery.SENT.value, problem="")

    def failed(self, alert: Alert, problem: str, *, again_at: datetime | None) -> None:
        """Note why an alert did not arrive, and when to try again, if ever."""
        if again_at is None:
            self._note(alert, delivery=Delivery.FAILED.value, problem=problem)
        else:
            self._note(alert, next_at=again_at, problem=problem)

    def list(self, *, limit: int = 100) -> list[Alert]:
        """Return the newest alerts, newest first."""
        query = _ALERTS.order_by(alerts.c.time.desc(), alerts.c.run_id).limit(limit)
        with self._database.read() as connection:
            return [_to_alert(row) for row in connection.execute(query)]

    def _note(self, alert: Alert, **values: Any) -> None:
        key = select(alert_rules.c.key).where(alert_rules.c.id == alert.rule_id).scalar_subquery()
        this = (alerts.c.rule_key == key) & (alerts.c.run_id == alert.run_id)
        with self._database.write() as connection:
            connection.execute(update(alerts).where(this).values(**values))


_ALERTS = select(alerts, alert_rules.c.id.label("rule_id"), alert_rules.c.rule).join_from(alerts, alert_rules)


def _to_rule(row: Any) -> KeptRule:
    return KeptRule(
        id=row.id,
        rule=AlertRule.model_validate_json(row.rule),
        seq=row.seq,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def _to_alert(row: Any) -> Alert:
    return Alert(
        rule_id=row.rule_id,
        run_id=row.run_id,
        run=row.run,
        text=row.text,
        time=row.time,
        delivery=Delivery(row.delivery),
        attempts=row.attempts,
        problem=row.problem,
    )
