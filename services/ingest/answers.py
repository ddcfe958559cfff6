"""What uploads are answered, and what is kept of these answers for whoever asks again."""

from __future__ import annotations

import logging
from typing import Any

from services.ingest.commands import Intake, Upload
from services.ingest.idempotency.domain import Answer, slowly
from services.ingest.room import AGAIN_AFTER, QueueFull
from services.ingest.schemas import DocumentView, RefusedView, UploadView
from services.ingest.views import view
from shared.errors import SuiteError
from shared.storage.deletion import ref_of_stream
from shared.web.app import PROBLEM
from shared.web.auth import Actor
from shared.web.openapi import Problem

log = logging.getLogger(__name__)


def told(shown: DocumentView, status: int, **headers: str) -> Answer:
    """A document as an answer, which goes with the document or with what it lies in."""
    about = frozenset({shown.id, *(parent.id for parent in shown.parents)})
    return Answer(status, shown.model_dump(mode="json"), headers, about=about)


def said(files: list[Upload], key: str) -> object:
    """What tells an upload from another one of the same key: its files, in order, and its fields.

    Not its bytes as they came, which a client separates by chance.
    """
    first = files[0]
    return {
        "files": [[file.name, ref_of_stream(file.stream).sha256] for file in files],
        "kind": first.kind,
        "password": slowly(key, first.password),
        **({"adapters": first.adapters} if first.adapters else {}),
    }


def answer_upload(intake: Intake, actor: Actor, files: list[Upload]) -> Answer:
    """Accept all that is good. Raises what a single file is refused with."""
    if len(files) == 1:
        return _answer_one(intake, actor, files[0])
    return _answer_several(intake, actor, files)


def _answer_one(intake: Intake, actor: Actor, upload: Upload) -> Answer:
    accepted = intake.accept(actor, upload)
    shown = view(intake.store, actor.tenant, accepted.document)
    return told(shown, 202 if accepted.new else 200, location=f"/v1/documents/{shown.id}")


def _answer_several(intake: Intake, actor: Actor, files: list[Upload]) -> Answer:
    """202 if any is new, 200 if all that were accepted are known, else the problem they share."""
    items: list[DocumentView | RefusedView] = []
    statuses = []
    for upload in files:
        try:
            accepted = intake.accept(actor, upload)
        except SuiteError as error:
            items.append(_refused(upload, error))
            statuses.append(error.http_status)
        else:
            items.append(view(intake.store, actor.tenant, accepted.document))
            statuses.append(202 if accepted.new else 200)
    body: dict[str, Any] = UploadView(items=items).model_dump(mode="json")
    full = QueueFull.http_status in statuses  # the same files once more may have room then
    again = {"retry-after": str(AGAIN_AFTER)} if full else {}
    good = [status for status in statuses if status < 300]
    if good:
        known = [told(item, 200).about for item in items if isinstance(item, DocumentView)]
        about = frozenset[str]().union(*known)
        return Answer(max(good), body, again, about=about, last=not full)
    status = statuses[0] if len(set(statuses)) == 1 else 422
    problem = _problem(status, "upload_refused", "none of the files was accepted: see `items`")
    body = {**problem.model_dump(exclude_none=True), **body}
    return Answer(status, body, again, media_type=PROBLEM)


def _refused(upload: Upload, error: SuiteError) -> RefusedView:
    if error.http_status >= 500:
        log.error("one file of an upload failed", extra={"reason": error.message})
    problem = _problem(error.http_status, error.code, error.message)
    return RefusedView(name=error.document or upload.name, error=problem)


def _problem(status: int, code: str, detail: str) -> Problem:
    kind = f"urn:smallprint:problem:{code}"
    return Problem(type=kind, title=code.replace("_", " "), status=status, detail=detail)
