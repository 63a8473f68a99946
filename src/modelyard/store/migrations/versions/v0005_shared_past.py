"""Which runs begin with the same steps, and whose steps these are.

Revision 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("past", sa.Text(), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("follows", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("fork_step", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("shared_steps", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("shared_with", sa.Text(), nullable=False, server_default=""))
