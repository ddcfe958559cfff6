"""The table of users. Its rows extend those of `keys`, which have name, scopes and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.ingest.store import KeyRows, keys
from services.ingest.users.domain import User
from shared.audit.trail import audit
from shared.storage.tenant_isolation import across_tenants

_SIGN_IN = "a sign-in, which does not name its tenant"
_OPERATOR = "the operator"

metadata = keys.metadata

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.String(16), sa.ForeignKey("keys.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("email", sa.String(254), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("password", sa.Text),
    sa.Column("subject", sa.Text, unique=True),
)

_joined = sa.select(
    users,
    keys.c.name,
    keys.c.created,
    keys.c.created_by,
    keys.c.last_used,
    keys.c.revoked.label("disabled"),
).join(keys, sa.and_(keys.c.id == users.c.id, keys.c.tenant == users.c.tenant))


class Users:
    """The users, within one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.keys = KeyRows(session)

    def add(self, user: User) -> None:
        """Add a user whose key exists."""
        columns = {column.name: getattr(user, column.name) for column in users.c}
        self.session.execute(sa.insert(users).values(columns))

    def list(self, tenant: str | None) -> list[User]:
        """Return the users of a tenant, or for the operator of all, by name."""
        query = _joined.order_by(sa.func.lower(keys.c.name), users.c.id)
        if tenant is None:
            query = across_tenants(query, _OPERATOR)
        else:
            query = query.where(users.c.tenant == tenant)
        return [User(**row) for row in self.session.execute(query).mappings()]

    def get(self, user_id: str, tenant: str | None) -> User | None:
        query = _joined.where(users.c.id == user_id)
        if tenant is None:
            return self._one(across_tenants(query, _OPERATOR))
        return self._one(query.where(users.c.tenant == tenant))

    def with_email(self, email: str) -> User | None:
        return self._one(across_tenants(_joined.where(users.c.email == email), _SIGN_IN))

    def with_subject(self, subject: str) -> User | None:
        return self._one(across_tenants(_joined.where(users.c.subject == subject), _SIGN_IN))

    def any_password(self) -> bool:
        query = sa.select(sa.exists().where(users.c.password.is_not(None)))
        return bool(self.session.execute(across_tenants(query, _SIGN_IN)).scalar_one())

    def change(self, user: User, **columns: object) -> None:
        """Change columns of a user: role, password or subject."""
        self.session.execute(
            sa.update(users)
            .where(users.c.id == user.id, users.c.tenant == user.tenant)
            .values(columns)
        )

    def changes(self, tenant: str) -> Sequence[tuple[str, str, str]]:
        """Return who made or rotated a key, invited a user, or made or changed a webhook.

        Each is the id of the actor, the action and the id of the object, from the audit trail,
        oldest first.
        """
        made = ("key.create", "key.change", "user.create", "webhook.create", "webhook.change")
        invited = audit.c.details["what"].as_string() == "invite"
        wanted = sa.or_(audit.c.action.in_(made), sa.and_(audit.c.action == "user.change", invited))
        query = sa.select(audit.c.key_id, audit.c.action, audit.c.object)
        of_tenant = query.where(audit.c.tenant == tenant, wanted)
        return self.session.execute(of_tenant.order_by(audit.c.number)).all()

    def _one(self, query: sa.Select[Any]) -> User | None:
        row: Mapping[Any, Any] | None = self.session.execute(query).mappings().one_or_none()
        return None if row is None else User(**row)
