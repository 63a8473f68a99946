"""What a run waits for, and which agent started a worker.

Revision 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("notice", sa.Text(), nullable=False, server_default=""))
    op.add_column("workers", sa.Column("agent_id", sa.Text(), nullable=True))
