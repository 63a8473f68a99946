"""An artifact is kept for each of its steps, and not for the newest alone.

Revision 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("artifacts", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.drop_constraint(op.f("uq_artifacts_run_key_name"), type_="unique")
        table.create_unique_constraint(op.f("uq_artifacts_run_key_name_step"), ["run_key", "name", "step"])
