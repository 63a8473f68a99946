"""How many epochs a run trains in all, as its engine counts them.

Revision 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("total_epochs", sa.Integer(), nullable=True))
