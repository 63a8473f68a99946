"""Rules for alerts, and what was sent.

Revision 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "alert_rules",
        sa.Column("key", KEY, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_alert_rules"),
        sa.UniqueConstraint("id", name="uq_alert_rules_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alerts",
        sa.Column("rule_key", KEY, autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["rule_key"], ["alert_rules.key"], name="fk_alerts_rule_key", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("rule_key", "run_id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_delivery", "alerts", ["delivery", "next_at"])
