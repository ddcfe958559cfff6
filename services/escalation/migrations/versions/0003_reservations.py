"""Money is reserved before a call: reservations, the sums that caps hold, and remembered calls."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def new_columns() -> list[sa.Column]:
    """What the ledger is given; an entry from before counts as settled, on no day."""
    return [
        sa.Column("call_id", sa.String(64)),
        sa.Column("document_id", sa.String(64), nullable=False, server_default=""),
        sa.Column("kind", sa.String(16), nullable=False, server_default="other"),
        sa.Column("state", sa.String(16), nullable=False, server_default="settled"),
        sa.Column("reserved_micro_usd", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("price_as_of", sa.String(10), nullable=False, server_default=""),
        sa.Column("content", sa.String(64), nullable=False, server_default=""),
        sa.Column("day", sa.String(10), nullable=False, server_default=""),
        sa.Column("until", Time),
    ]


def upgrade() -> None:
    """What was spent before, if anything, is settled."""
    for column in new_columns():
        op.add_column("ledger", column)
    op.create_index("ledger_call", "ledger", ["call_id"], unique=True)
    op.create_index("ledger_open", "ledger", ["state", "until"])
    op.create_index("ledger_content", "ledger", ["tenant", "content", "state"])
    op.create_index("ledger_escalation", "ledger", ["tenant", "escalation_id"])
    op.create_index("ledger_day", "ledger", ["tenant", "day"])
    op.create_table(
        "spending",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("period", sa.String(10), primary_key=True),
        sa.Column("micro_usd", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stopped",
        sa.Column("provider", sa.String(64), primary_key=True),
        sa.Column("since", Time, nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "exchanges",
        sa.Column("call_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("escalation_id", sa.String(80), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("reply", sa.JSON, nullable=False),
        sa.Column("good", sa.Boolean, nullable=False),
    )
    op.create_index("exchanges_content", "exchanges", ["tenant", "content"])
    op.create_index("exchanges_document", "exchanges", ["tenant", "document_id"])


def downgrade() -> None:
    """Without reservations."""
    for table in ("exchanges", "stopped", "spending"):
        op.drop_table(table)
    for index in ("call", "open", "content", "escalation", "day"):
        op.drop_index(f"ledger_{index}", "ledger")
    for column in reversed(new_columns()):
        op.drop_column("ledger", column.name)
