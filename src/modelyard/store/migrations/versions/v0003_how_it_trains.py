"""Which runs can train as one model, and how each one trains.

Revision 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("structure", sa.Text(), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("execution", sa.Text(), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("stack_size", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("runs", sa.Column("stack_gain", sa.Float(), nullable=True))
