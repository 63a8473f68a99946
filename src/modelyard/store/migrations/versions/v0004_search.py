"""The log of a search, its trials, and what validations measured.

Revision 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("experiments", sa.Column("last_trial", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("trial", sa.Integer(), nullable=True))
    op.add_column("runs", sa.Column("until_epoch", sa.Integer(), nullable=True))
    op.add_column("runs", sa.Column("forked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("scored", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_runs_trial", "runs", ["experiment_key", "trial"], unique=True)
    op.create_table(
        "search_log",
        sa.Column("experiment_key", KEY, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_key"], ["experiments.key"], name="fk_search_log_experiment_key", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_key", "number", name="pk_search_log"),
    )
    op.create_table(
        "evaluations",
        sa.Column("run_key", KEY, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name="fk_evaluations_run_key", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_key", "epoch", name="pk_evaluations"),
    )
