"""What checkpoints call a request that was imported from another home.

Revision 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("control_ops", sa.Column("number", sa.BigInteger(), nullable=True))
