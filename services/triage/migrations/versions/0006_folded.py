"""Findings name the dismissal that folds them away, instead of repeating its words."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LONGEST, KEPT = 200, 136
"""Characters of a filer's name, and of those that stay of a longer one before its hash."""
BY_RULES, BY_VERSION = 0.5, {"1.0.0": 0.8495, "1.1.0": 0.8512}
"""Risk from which on a report was flagged, by rules and by each version of `triage-breaks`."""

FINDINGS = sa.table(
    "findings",
    *map(
        sa.column,
        ("tenant", "document_id", "position", "confidence", "body", "dismissed_document"),
    ),
)
REPORTS = sa.table(
    "reports",
    *map(sa.column, ("tenant", "document_id", "risk")),
    sa.column("flagged", sa.Boolean),
    sa.column("model", sa.JSON),
)


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
    """Without them: what is folded away is a finding again here, too."""
    database = op.get_bind()
    folded = sa.select(FINDINGS).where(FINDINGS.c.dismissed_document.is_not(None))
    for row in database.execute(folded).all():
        _count_again(database, row)
    op.drop_index("findings_dismissed", "findings")
    op.drop_column("findings", "dismissed_finding")
    op.drop_column("findings", "dismissed_document")
    op.drop_column("reports", "unreadable")
    op.drop_column("reports", "strong")


def _unfold() -> None:
    """Take the words out of what was folded away, and count it again."""
    database = op.get_bind()
    marked = sa.select(FINDINGS).where(FINDINGS.c.body.like('%"dismissed": {%'))
    for row in database.execute(marked).all():
        body = json.dumps({**json.loads(row.body), "dismissed": None}, ensure_ascii=False)
        this = sa.and_(
            FINDINGS.c.tenant == row.tenant,
            FINDINGS.c.document_id == row.document_id,
            FINDINGS.c.position == row.position,
        )
        database.execute(sa.update(FINDINGS).where(this).values(body=body))
        _count_again(database, row)


def _count_again(database: sa.Connection, finding: Any) -> None:
    """Risk and flag of the report of a finding that is folded away no more."""
    this = sa.and_(REPORTS.c.tenant == finding.tenant, REPORTS.c.document_id == finding.document_id)
    for known in database.execute(sa.select(REPORTS).where(this)).all():
        risk = max(known.risk, finding.confidence)
        flagged = known.flagged or risk >= _flagged_from(known.model)
        database.execute(sa.update(REPORTS).where(this).values(risk=risk, flagged=flagged))


def _flagged_from(model: Mapping[str, str] | None) -> float:
    """The risk from which on a report was flagged by what judged it."""
    if not model or model["name"] == "rules":
        return BY_RULES
    return BY_VERSION.get(model["version"], max(BY_VERSION.values()))


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
