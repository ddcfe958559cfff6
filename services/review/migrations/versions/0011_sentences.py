"""Items and decisions may be about sentences of a report (kind `flag`)."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No table changes: a program that doesn't know the kind can't list such items."""


def downgrade() -> None:
    """Nobody is asked about sentences; what was decided of them stays in the audit, as of
    signals, which set no flag either.
    """
    items, decisions = (sa.table(name, sa.column("kind")) for name in ("items", "decisions"))
    op.execute(sa.delete(items).where(items.c.kind == "flag"))
    op.execute(sa.update(decisions).where(decisions.c.kind == "flag").values(kind="signal"))
