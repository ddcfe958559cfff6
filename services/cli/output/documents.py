"""Show documents of a suite to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from services.cli.output.lines import moment, plain
from services.cli.output.terminal import table

if TYPE_CHECKING:
    from shared.client import Document


def listed(documents: Sequence[Document]) -> Iterator[str]:
    """Documents, one a line; `!` marks warnings and unreadable pages."""
    rows = []
    for one in documents:
        state = f"{one.outcome or one.state}{' !' if has_warnings(one) else ''}"
        pages = "" if one.pages is None else f"{one.pages:,}"
        when = f"{one.created:%Y-%m-%d %H:%M}"
        rows.append((one.id, when, state, kind(one), pages, plain(one.name)))
    heads = ("id", "uploaded", "state", "kind", "pages", "name")
    yield from table(rows, heads=heads, right=[4], indent=0)


def kind(document: Document) -> str:
    """The kind of a document, with `?` if it is unsure. Empty if nobody stated it and the document
    could not be read.
    """
    unread = document.outcome in ("failed", "rejected") and document.pages is None
    if unread and document.kind_source == "type":
        return ""
    return f"{document.kind} ?" if document.kind_unsure else document.kind


def has_warnings(document: Document) -> bool:
    """Whether a document has warnings, unreadable pages or an unsure kind."""
    return bool(document.warnings or document.failed_pages or document.kind_unsure)


def shown(document: Document) -> Iterator[str]:
    """A document with reasons, warnings and parts."""
    asked = ": a person is asked" if document.kind_unsure else ""
    fields = {
        "id": document.id,
        "kind": f"{kind(document)}{asked}",
        "state": document.outcome or document.state,
        "pages": "" if document.pages is None else f"{document.pages:,}",
        "type": f"{document.media_type}, {document.size:,} bytes",
        "uploaded": f"{moment(document.created)} by {plain(document.actor)}",
        "sha256": document.sha256,
    }
    yield plain(document.name)
    yield from (f"  {name:<9} {value}" for name, value in fields.items() if value)
    yield from (f"  ! {plain(reason)}" for reason in document.reasons)
    yield from (f"  ! page {one.page}: {plain(one.reason)}" for one in document.failed_pages)
    yield from (f"  ! {plain(warning)}" for warning in document.warnings)
    yield from (f"  part {one.id}  {plain(one.name)}" for one in document.parts)
