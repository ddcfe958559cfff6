"""An answer is found by the hash of what was asked of whom; the provider besides is not needed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

exchanges = sa.table("exchanges", sa.column("call_id"), sa.column("provider"))
ledger = sa.table("ledger", sa.column("call_id"), sa.column("provider"))


def upgrade() -> None:
    """The ledger has the provider of every call."""
    op.drop_column("exchanges", "provider")


def downgrade() -> None:
    """As the ledger has it."""
    op.add_column(
        "exchanges", sa.Column("provider", sa.String(64), nullable=False, server_default="")
    )
    of_call = sa.select(ledger.c.provider).where(ledger.c.call_id == exchanges.c.call_id)
    op.execute(
        sa.update(exchanges).values(provider=sa.func.coalesce(of_call.scalar_subquery(), ""))
    )
