"""The route of the client report."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from services.review import store
from services.review.domain import Document
from services.review.handlers import unless_deleted
from services.review.queries import Reader
from services.review.report import docx_writer, html_writer
from services.review.report.compose import compose
from services.review.report.report import Report
from shared.errors import Conflict
from shared.events.searched import SearchedContract
from shared.policy.rules import RiskPolicy
from shared.web.auth import Actor, CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import DocumentPath

Format = Literal["html", "docx"]
_CONTENT: dict[str, Any] = {
    "text/html": {
        "schema": {"type": "string"},
        "example": '<!doctype html>\n<html lang="en">(the page)</html>',
    },
    docx_writer.MEDIA_TYPE: {
        "schema": {"type": "string", "format": "binary"},
        "example": "(the bytes of the file)",
    },
}


def routes(reader: Reader, risks: RiskPolicy) -> APIRouter:
    """Return the router for the report of a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["decisions"])

    @router.get(
        "/report",
        summary="The results and decisions of a document, to give away",
        response_class=Response,
        responses={200: {"content": _CONTENT}, **problems(404, 409)},
    )
    def report(
        document_id: DocumentPath,
        actor: CurrentActor,
        format: Annotated[  # noqa: A002 (the parameter's public name)
            Format, Query(description="`html`: a page for print; `docx`: for Word")
        ] = "html",
    ) -> Response:
        """Returns key terms, clauses or findings with their decisions and notes, what is missing,
        and what was checked. Decided results replace those of the model. Without `results:read` it
        has no key terms, and no results that the model accepted without a person.
        """
        document = reader.document(actor, document_id)
        made = _report(reader, risks, actor, document)
        if format == "docx":
            return Response(
                docx_writer.write_docx(made),
                media_type=docx_writer.MEDIA_TYPE,
                headers={"content-disposition": _attachment(document.name)},
            )
        path = f"/v1/documents/{quote(document_id)}/report?format=docx"
        links = [(f"/documents/{quote(document_id)}", "Back to the document"), (path, "DOCX")]
        return Response(
            html_writer.write_html(made, links),
            media_type=html_writer.MEDIA_TYPE,
            headers={"content-security-policy": html_writer.POLICY},
        )

    return router


def _report(reader: Reader, risks: RiskPolicy, actor: Actor, document: Document) -> Report:
    """The report of a document. Raises Conflict for one without results."""
    results = list(reader.results(actor, store.Filters(document=document.id, state="all")))
    if document.kind == "other" or (document.basis is None and not results):
        raise Conflict(
            f"document {document.id} has no report: only contracts and reports that were processed "
            "have results",
            document=document.id,
        )
    whole = actor.may("results:read")
    reading = reader.reading(document)
    searched = document.basis.searched if document.basis else None
    data = searched and unless_deleted(
        document.tenant,
        document.id,
        reader.blobs,
        lambda: reader.blobs.get(document.tenant, searched),
    )
    return compose(
        document,
        results,
        day=reader.clock().date(),
        rules=risks.of(document.tenant),
        rates=reader.error_rates(actor) if whole else (),
        searched=SearchedContract.model_validate_json(data) if data else None,
        unread=[page.number for page in reading.failed] if reading else (),
        whole=whole,
    )


def _attachment(name: str) -> str:
    """The header for a file that is named after a document."""
    name = f"{name.rpartition('.')[0] or name} report.docx"
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
