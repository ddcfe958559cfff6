"""Show documents of a suite to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from services.cli.output.lines import container, count, minute, plain
from services.cli.output.terminal import table, width

if TYPE_CHECKING:
    from shared.client import Document

_WIDE = 110
"""Least characters of a line that has room for ids and names."""
_MOST_NAMES = 5
"""Names of parts that are printed."""


def listed(documents: Sequence[Document]) -> Iterator[str]:
    """Documents, one a line; `!` marks warnings and unreadable pages. On a narrow terminal the name
    has a line of its own.
    """
    rows = []
    for one in documents:
        outcome = f"{one.outcome or one.state}{' !' if has_warnings(one) else ''}"
        rows.append((one.id, f"{one.created:%Y-%m-%d %H:%M}", outcome, kind(one)))
    names = [plain(one.name) for one in documents]
    heads = ("id", "uploaded", "outcome", "kind", "name")
    if width() >= _WIDE:
        named = [(*row, name) for row, name in zip(rows, names, strict=True)]
        yield from table(named, heads=heads, indent=0)
        return
    for name, row in zip(names, table(rows), strict=True):
        yield name
        yield row


def with_parts(document: Document) -> str:
    """The name of a document, with the names of its first parts."""
    names = [plain(part.name) for part in document.parts]
    if not names:
        return plain(document.name)
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return f"{plain(document.name)} with {count(len(names), 'part')} ({shown})"


def kind(document: Document) -> str:
    """The kind of a document, with `?` if it is unsure.

    If nobody stated it, it is `mail` or `archive` for these, and empty for an unreadable document.
    """
    unread = document.outcome in ("failed", "rejected") and document.pages is None
    if document.kind_source == "type" and (unread or container(document.media_type)):
        return container(document.media_type)
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
        "outcome" if document.outcome else "state": document.outcome or document.state,
        "pages": "" if document.pages is None else f"{document.pages:,}",
        "type": f"{document.media_type}, {document.size:,} bytes",
        "uploaded": f"{minute(document.created)} by {plain(document.actor)}",
        "sha256": document.sha256,
    }
    yield plain(document.name)
    yield from (f"  {name:<9} {value}" for name, value in fields.items() if value)
    yield from (f"  ! {plain(reason)}" for reason in document.reasons)
    yield from (f"  ! page {one.page}: {plain(one.reason)}" for one in document.failed_pages)
    yield from (f"  ! {plain(warning)}" for warning in document.warnings)
    yield from (f"  part {one.id}  {plain(one.name)}" for one in document.parts)
