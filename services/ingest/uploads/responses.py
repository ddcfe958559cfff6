"""Responses to uploads, and their stored form for repeated requests."""

from __future__ import annotations

import logging
from typing import Any

from services.ingest.commands import DocumentCommands, Upload
from services.ingest.idempotency.store import Answer, slow_hash
from services.ingest.limits import RETRY_AFTER, QueueFull
from services.ingest.schemas import DocumentView, RefusedView, UploadView
from services.ingest.views import view
from shared.blobs.markers import ref_of_stream
from shared.errors import SuiteError
from shared.web.app import PROBLEM
from shared.web.auth import Actor
from shared.web.openapi import Problem, problem_body

log = logging.getLogger(__name__)


def document_answer(shown: DocumentView, status: int, **headers: str) -> Answer:
    """Build the answer about a document; it is deleted with the document or its containers."""
    about = frozenset({shown.id, *(parent.id for parent in shown.parents)})
    return Answer(status, shown.model_dump(mode="json"), headers, about=about)


def upload_identity(files: list[Upload], key: str) -> object:
    """Return the identity of an upload: names and hashes of its files, and its fields.

    The raw body can't be used: its boundary is random.
    """
    first = files[0]
    return {
        "files": [[file.name, ref_of_stream(file.stream).sha256] for file in files],
        "kind": first.kind,
        "password": slow_hash(key, first.password),
        **({"adapters": first.adapters} if first.adapters else {}),
    }


def answer_upload(commands: DocumentCommands, actor: Actor, files: list[Upload]) -> Answer:
    """Accept all valid files. Raises the error of a single file."""
    if len(files) == 1:
        return _answer_single(commands, actor, files[0])
    return _answer_several(commands, actor, files)


def _answer_single(commands: DocumentCommands, actor: Actor, upload: Upload) -> Answer:
    accepted = commands.accept(actor, upload)
    shown = view(commands.store, actor.tenant, accepted.document)
    return document_answer(
        shown, 202 if accepted.new else 200, location=f"/v1/documents/{shown.id}"
    )


def _answer_several(commands: DocumentCommands, actor: Actor, files: list[Upload]) -> Answer:
    """Answer 202 if any file is new, 200 if all accepted files are known, else their problem."""
    items: list[DocumentView | RefusedView] = []
    statuses = []
    for upload in files:
        try:
            accepted = commands.accept(actor, upload)
        except SuiteError as error:
            items.append(_refused(upload, error))
            statuses.append(error.http_status)
        else:
            items.append(view(commands.store, actor.tenant, accepted.document))
            statuses.append(202 if accepted.new else 200)
    body: dict[str, Any] = UploadView(items=items).model_dump(mode="json")
    full = QueueFull.http_status in statuses  # a repetition of the upload may succeed
    retry_headers = {"retry-after": str(RETRY_AFTER)} if full else {}
    good = [status for status in statuses if status < 300]
    if good:
        mentioned = [
            document_answer(item, 200).about for item in items if isinstance(item, DocumentView)
        ]
        about = frozenset[str]().union(*mentioned)
        return Answer(max(good), body, retry_headers, about=about, last=not full)
    status = statuses[0] if len(set(statuses)) == 1 else 422
    problem = _problem(status, "upload_refused", "No file was accepted: see `items`.")
    body = {**problem.model_dump(exclude_none=True), **body}
    return Answer(status, body, retry_headers, media_type=PROBLEM)


def _refused(upload: Upload, error: SuiteError) -> RefusedView:
    if error.http_status >= 500:
        log.error("one file of an upload failed", extra={"reason": error.message})
    problem = _problem(error.http_status, error.code, error.message)
    return RefusedView(name=error.document or upload.name, error=problem)


def _problem(status: int, code: str, detail: str) -> Problem:
    return Problem.model_validate(problem_body(status, code, detail))
