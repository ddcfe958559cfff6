"""The routes of retention and of what is left of deleted documents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.ingest.retention.domain import Rules
from services.ingest.retention.store import Retention, tombstone, tombstones
from shared.errors import NotFound
from shared.events import Kind
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.ids import ID
from shared.web.openapi import problems
from shared.web.values import Whole


class RuleView(BaseModel):
    """How long documents of a kind are kept."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind | None = Field(description="null: every kind without a rule of its own")
    days: Whole = Field(ge=1, le=36_500, description="after the upload")


class RulesView(BaseModel):
    """The rules of the tenant; without any, documents are kept until somebody deletes them."""

    model_config = ConfigDict(extra="forbid")

    items: list[RuleView] = Field(max_length=4)
    next: None = Field(None, description="always null: the list is whole")

    @model_validator(mode="after")
    def _each_kind_once(self) -> Self:
        kinds = [rule.kind for rule in self.items]
        if len(set(kinds)) < len(kinds):
            raise ValueError("a kind has more than one rule")
        return self

    @classmethod
    def of(cls, rules: Rules) -> RulesView:
        """What is shown of them."""
        rows = sorted(rules.days.items(), key=lambda rule: rule[0] or "")
        return cls(items=[RuleView(kind=kind, days=days) for kind, days in rows])

    @property
    def rules(self) -> Rules:
        """What was sent."""
        return Rules({rule.kind: rule.days for rule in self.items})


class TombstoneView(BaseModel):
    """What is left of a deleted document."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    deleted: datetime
    deleted_by: str = Field(description="name of a key; `retention` for a rule of the tenant")
    removed: datetime | None = Field(description="when its bytes, text and pages were gone")


class TombstonePage(BaseModel):
    """Deleted documents, the latest first."""

    items: list[TombstoneView]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


def routes(store: Store) -> APIRouter:
    """What people ask about what is kept and what is gone."""
    router = APIRouter(prefix="/v1", tags=["retention"])

    @router.get("/retention", summary="How long documents are kept", responses=problems())
    def rules(actor: CurrentActor) -> RulesView:
        with store.read() as session:
            return RulesView.of(Retention(session, actor.tenant).rules())

    @router.put("/retention", summary="Set how long documents are kept", responses=problems())
    def set_rules(actor: CurrentActor, wanted: RulesView) -> RulesView:
        with store.write() as session:
            Retention(session, actor.tenant).replace(wanted.rules)
        return RulesView.of(wanted.rules)

    @router.get("/deletions", summary="What was deleted, by whom and when", responses=problems())
    def deletions(
        actor: CurrentActor,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> TombstonePage:
        with store.read() as session:
            found, more = tombstones(session, actor.tenant, limit=limit, cursor=cursor)
        return TombstonePage(items=[TombstoneView.model_validate(t) for t in found], next=more)

    @router.get(
        "/deletions/{id}", summary="Who deleted a document, and when", responses=problems(404)
    )
    def deletion(
        actor: CurrentActor, document_id: Annotated[str, Path(alias="id", pattern=ID)]
    ) -> TombstoneView:
        with store.read() as session:
            found = tombstone(session, actor.tenant, document_id)
        if found is None:
            raise NotFound(f"no document {document_id} was deleted", document=document_id)
        return TombstoneView.model_validate(found)

    return router
