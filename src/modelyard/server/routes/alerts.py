"""Alerts: of which runs somebody hears, and what was sent."""

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from modelyard.domain.alerts import AlertRule, Delivery
from modelyard.server.access import Admin
from modelyard.server.channels import ChannelError, Message, send
from modelyard.server.context import Here
from modelyard.server.views import View

router = APIRouter(tags=["alerts"])


class RuleView(View):
    """A rule, as it is kept."""

    id: str
    rule: AlertRule
    created_at: datetime
    created_by: str


class AlertView(View):
    """One run that matched one rule."""

    rule_id: str
    run_id: str
    run: str
    text: str
    time: datetime
    delivery: Delivery
    attempts: int
    problem: str
    """Why the last attempt failed, or an empty string."""


@router.get("/alerts/rules")
def rules(here: Here, _: Admin) -> list[RuleView]:
    """List the rules; addresses of webhooks may be secrets, so only admins see them."""
    return [RuleView.model_validate(one) for one in here.store.alerts.rules()]


@router.post("/alerts/rules", status_code=HTTPStatus.CREATED)
def add_rule(here: Here, who: Admin, rule: AlertRule) -> RuleView:
    """Tell of each run once, when it first matches a filter, from now on."""
    return RuleView.model_validate(here.store.alerts.add(rule, actor=who.name))


@router.delete("/alerts/rules/{rule_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_rule(here: Here, _: Admin, rule_id: str) -> None:
    """Delete a rule, with what it told."""
    here.store.alerts.delete(rule_id)


@router.post("/alerts/test", status_code=HTTPStatus.NO_CONTENT)
def try_rule(here: Here, _: Admin, rule: AlertRule) -> None:
    """Send a message to where a rule would send, now."""
    message = Message(
        title=f"Modelyard: {rule.name}", text=f"a test; runs with {rule.where} will be told here", fields={}
    )
    try:
        send(rule.to, message, secrets=here.store.vault.environment())
    except ChannelError as error:
        raise HTTPException(HTTPStatus.BAD_GATEWAY, f"to: {error}") from error


@router.get("/alerts")
def alerts(here: Here) -> list[AlertView]:
    """List the newest alerts, and whether they arrived."""
    return [AlertView.model_validate(one) for one in here.store.alerts.list()]
