"""The audit tables of every service, and the triggers that refuse changes to recorded lines.

A revision of each service makes them. Never edit this file after a release: add a revision.
"""

from typing import Any

import sqlalchemy as sa

Time = sa.DateTime(timezone=True)
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_KEPT = "OLD.number > (SELECT removed FROM audit_heads WHERE tenant = OLD.tenant)"
_REFUSED = "lines of the audit trail cannot be changed or removed"
_REPLACED = "EXISTS (SELECT 1 FROM audit WHERE tenant = NEW.tenant AND number = NEW.number)"
_SQLITE = (
    f"CREATE TRIGGER audit_update BEFORE UPDATE ON audit"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    f"CREATE TRIGGER audit_delete BEFORE DELETE ON audit"
    f" WHEN coalesce({_KEPT}, 1) BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    # INSERT OR REPLACE removes a line without the other triggers
    f"CREATE TRIGGER audit_replace BEFORE INSERT ON audit"
    f" WHEN {_REPLACED} BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
)
_POSTGRESQL = (
    f"""CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND NOT coalesce({_KEPT}, true) THEN RETURN OLD; END IF;
        RAISE EXCEPTION '{_REFUSED}';
    END $$""",
    "CREATE TRIGGER audit_change BEFORE UPDATE OR DELETE ON audit"
    " FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON audit"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
)


def drop_tables(op: Any) -> None:
    """Drop the trail and the heads, to go back to the revision before."""
    op.drop_table("audit")
    op.drop_table("audit_heads")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuse")


def create_tables(op: Any) -> None:
    """Make the trail and the heads of its chains, with Alembic's `op`."""
    op.create_table(
        "audit",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("number", Number, autoincrement=False, nullable=False),
        sa.Column("at", Time, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("object", sa.String(64), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number"),
    )
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("number", Number, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("removed", Number, nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
