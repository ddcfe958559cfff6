"""Findings name the dismissal that folds them away, instead of repeating its words."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LONGEST, KEPT = 200, 136
"""Characters of a filer's name, and of those that stay of a longer one before its hash."""


def upgrade() -> None:
    """What was folded away before is a finding again: which dismissal did it is not known. The
    words of the analyst, which had been repeated beside it, go.
    """
    op.add_column("reports", sa.Column("strong", sa.JSON(none_as_null=True)))
    op.add_column(
        "reports", sa.Column("unreadable", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column("findings", sa.Column("dismissed_document", sa.String(64)))
    op.add_column("findings", sa.Column("dismissed_finding", sa.String(64)))
    names = ["tenant", "dismissed_document", "dismissed_finding"]
    op.create_index("findings_dismissed", "findings", names)
    _unfold()
    _shorten()


def downgrade() -> None:
    """Without them."""
    op.drop_index("findings_dismissed", "findings")
    op.drop_column("findings", "dismissed_finding")
    op.drop_column("findings", "dismissed_document")
    op.drop_column("reports", "unreadable")
    op.drop_column("reports", "strong")


def _unfold() -> None:
    names = ("tenant", "document_id", "position", "confidence", "body")
    findings = sa.table("findings", *map(sa.column, names))
    reports = sa.table("reports", *map(sa.column, ("tenant", "document_id", "risk")))
    database = op.get_bind()
    marked = sa.select(findings).where(findings.c.body.like('%"dismissed": {%'))
    for row in database.execute(marked).all():
        body = json.dumps({**json.loads(row.body), "dismissed": None}, ensure_ascii=False)
        this = sa.and_(
            findings.c.tenant == row.tenant,
            findings.c.document_id == row.document_id,
            findings.c.position == row.position,
        )
        database.execute(sa.update(findings).where(this).values(body=body))
        less = sa.and_(
            reports.c.tenant == row.tenant,
            reports.c.document_id == row.document_id,
            reports.c.risk < row.confidence,
        )
        database.execute(sa.update(reports).where(less).values(risk=row.confidence))


def _shorten() -> None:
    """Names without end as `filer_of` has them now."""
    dismissals = sa.table("dismissals", sa.column("filer"))
    database = op.get_bind()
    long = sa.func.length(dismissals.c.filer) > LONGEST
    names = database.execute(sa.select(dismissals.c.filer).where(long).distinct())
    for filer in names.scalars().all():
        short = filer[:KEPT] + hashlib.sha256(filer.encode()).hexdigest()
        same = dismissals.c.filer == filer
        database.execute(sa.update(dismissals).where(same).values(filer=short))
