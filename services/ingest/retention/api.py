"""Routes of retention rules and tombstones."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.ingest.retention.store import ANY, Retention, Rules, tombstone, tombstones
from shared.audit import record
from shared.errors import NotFound
from shared.events import Kind
from shared.storage import Store
from shared.web.auth import CurrentActor, require_key
from shared.web.openapi import problems
from shared.web.parameters import Id, Integer


class RuleView(BaseModel):
    """How long documents of a kind are stored."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind | None = Field(description="null: every kind without its own rule")
    days: Integer = Field(ge=1, le=36_500, description="after the upload")


class RulesView(BaseModel):
    """The rules of the tenant; without any, documents are never deleted automatically."""

    model_config = ConfigDict(extra="forbid")

    items: list[RuleView] = Field(max_length=4)
    next: None = Field(None, description="always null")

    @model_validator(mode="after")
    def _each_kind_once(self) -> Self:
        kinds = [rule.kind for rule in self.items]
        if len(set(kinds)) < len(kinds):
            raise ValueError("a kind has more than one rule")
        return self

    @classmethod
    def of(cls, rules: Rules) -> RulesView:
        rows = sorted(rules.days.items(), key=lambda rule: rule[0] or "")
        return cls(items=[RuleView(kind=kind, days=days) for kind, days in rows])

    @property
    def rules(self) -> Rules:
        return Rules({rule.kind: rule.days for rule in self.items})


class TombstoneView(BaseModel):
    """The record of a deleted document."""

    id: str
    deleted: datetime
    deleted_by: str = Field(description="name of a key; `retention` for a rule")
    removed: datetime | None = Field(description="when its bytes, text and pages were removed")


class TombstonePage(BaseModel):
    """Deleted documents, newest deletion first."""

    items: list[TombstoneView]
    next: str | None = Field(description="for `?cursor=`; null at the end")


def routes(store: Store) -> APIRouter:
    """Build the routes of retention rules and tombstones."""
    router = APIRouter(prefix="/v1", tags=["retention"])

    @router.get("/retention", summary="Retention rules", responses=problems())
    def rules(actor: CurrentActor) -> RulesView:
        """Lists for how many days documents of each kind are stored. Without rules they are stored
        until somebody deletes them.
        """
        with store.read() as session:
            return RulesView.of(Retention(session, actor.tenant).rules())

    @router.put("/retention", summary="Set the retention rules", responses=problems())
    def set_rules(actor: CurrentActor, wanted: RulesView) -> RulesView:
        """Replaces all retention rules of the tenant. Documents older than their rule allows are
        deleted soon after. A session of a browser can't do this.
        """
        require_key(actor, "change the retention rules")
        with store.write() as session:
            Retention(session, actor.tenant).replace(wanted.rules)
            days = {kind or ANY: days for kind, days in wanted.rules.days.items()}
            record(session, actor, "setting.change", "retention", days=days)
        return RulesView.of(wanted.rules)

    @router.get("/deletions", summary="Deleted documents", responses=problems())
    def deletions(
        actor: CurrentActor,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> TombstonePage:
        """Lists deleted documents, newest first: who deleted them, and when the last service
        removed them. The list has no names and no content.
        """
        with store.read() as session:
            rows, more = tombstones(session, actor.tenant, limit=limit, cursor=cursor)
        return TombstonePage(items=[TombstoneView.model_validate(t) for t in rows], next=more)

    @router.get("/deletions/{id}", summary="One deleted document", responses=problems(404))
    def deletion(actor: CurrentActor, document_id: Id) -> TombstoneView:
        """Says when a document was deleted, by whom, and whether every service has removed it."""
        with store.read() as session:
            found = tombstone(session, actor.tenant, document_id)
        if found is None:
            raise NotFound(f"No document {document_id} was deleted.", document=document_id)
        return TombstoneView.model_validate(found)

    return router
