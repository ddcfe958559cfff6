"""When a provider was asked, and how much of its minute a call takes."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of calls before that nothing is known: they are older than a minute, or nearly so."""
    op.add_column("ledger", sa.Column("asked", Time))
    op.add_column("ledger", sa.Column("tokens", sa.BigInteger))
    op.create_index("ledger_pace", "ledger", ["provider", "asked"])


def downgrade() -> None:
    """Nobody counts."""
    op.drop_index("ledger_pace", "ledger")
    op.drop_column("ledger", "tokens")
    op.drop_column("ledger", "asked")
