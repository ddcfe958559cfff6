"""The replies of the child that reads documents, checked: a hostile document may have written them.

Every error is a ValueError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from shared.documents.channel import MAX_MESSAGE, UNPACKED_AT_ONCE
from shared.documents.model.formats import FORMATS
from shared.documents.model.parsed_document import (
    FailedPage,
    Limits,
    Page,
    PageRead,
    ParsedDocument,
)
from shared.documents.sniffing import safe_path
from shared.documents.unpacking import Attachment, RefusedPart
from shared.documents.xbrl.xbrl import Fact, Facts
from shared.errors import NotFound, SuiteError, UnreadableDocument

_MEDIA_TYPES = frozenset(form.media_type for form in FORMATS)
_PLAIN_HEAD = 1_000_000
_PART_HEAD = 20_000  # bytes for a name of 1,000 characters and a reason, in JSON
_CHARACTER = 24  # bytes: UTF-8, and a box or half a cell

_MANY = 1 << 31
_DIGITS = 100_000  # of a number: `1e999999999` would fill the memory when it is printed

_Count = Annotated[int, Field(ge=0, lt=_MANY)]
_Label = Annotated[str, Field(max_length=MAX_MESSAGE)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Problem(_Strict):
    code: _Label
    message: _Label
    document: str | None


class _Part(_Strict):
    name: _Label
    size: _Count
    media_type: str = ""
    code: _Label = ""
    reason: _Label = ""


class Head(_Strict):
    """The head of a reply; each kind of reply has some of the fields."""

    landlock: int = 0
    filter: bool = False
    page: _Count | None = None
    page_read: PageRead | None = None
    recognising: bool = False
    text_bytes: _Count = 0
    parts: tuple[_Part, ...] = ()
    total: _Count = 0
    error: _Problem | None = None
    leaves: bool = False


class _Ledger(BaseModel):
    """The parts of a document that are not arrays."""

    model_config = ConfigDict(from_attributes=True, revalidate_instances="always")

    pages: tuple[Page, ...]
    failed: tuple[FailedPage, ...]
    furniture: tuple[tuple[_Count, _Count], ...]
    warnings: tuple[str, ...]
    metadata: dict[str, str]
    unsound: tuple[_Count, ...]


_FACTS = TypeAdapter(tuple[Fact, ...], config=ConfigDict(revalidate_instances="always"))


def most_bytes(limits: Limits) -> tuple[int, int]:
    """Return the most bytes of a head and of a body. A body fills half of the child's memory."""
    head = _PLAIN_HEAD + _PART_HEAD * limits.max_parts
    text = _CHARACTER * max(limits.max_text, limits.max_plain_text) + _PLAIN_HEAD
    pages = 1_000 * limits.max_pages
    parts = UNPACKED_AT_ONCE + limits.max_bytes
    return head, min(limits.memory_bytes // 2, max(text + pages, parts))


def head_of(data: bytes) -> Head:
    """Parse a head."""
    return Head.model_validate_json(data)


def page_of(head: Head, body: bytes, last: int, limits: Limits) -> PageRead:
    """Return a page that comes after page `last`."""
    page = head.page_read
    if page is None or not last < page.number <= limits.max_pages:
        raise ValueError("pages out of order")
    return PageRead(**vars(page) | {"text": body.decode()})


def document_of(head: Head, body: bytes) -> ParsedDocument:
    """Return a document whose offsets are within its text."""
    text = body[: head.text_bytes].decode()
    try:
        document = ParsedDocument.from_bytes(body[head.text_bytes :], text)
    except UnreadableDocument as error:
        raise ValueError(error.message) from error
    ledger = _Ledger.model_validate(document)
    pages = [(page.start, page.end) for page in ledger.pages]
    for ranges in (pages, ledger.furniture):
        ends = [0, *(offset for ends in ranges for offset in ends), len(text)]
        if ends != sorted(ends):
            raise ValueError("pages outside of the text")
    numbers = [p.number for p in ledger.pages] + [p.number for p in ledger.failed]
    if any(not 0 < number < _MANY for number in numbers):
        raise ValueError("pages without a number")
    if document.media_type not in _MEDIA_TYPES:
        raise ValueError("an unknown type")
    return document


def facts_of(_head: Head, body: bytes) -> Facts:
    """Return the facts of an XBRL document."""
    try:
        facts = Facts.from_bytes(body)
    except (KeyError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"facts that can't be used: {error}") from error
    _FACTS.validate_python(facts.facts)
    if any(abs(fact.number.adjusted()) > _DIGITS for fact in facts.facts if fact.number):
        raise ValueError("a number of too many digits")
    return facts


def parts_of(
    head: Head, body: bytes, *, done: int, limits: Limits
) -> tuple[list[Attachment | RefusedPart], int]:
    """Return the parts that follow `done` others, and the number of all parts."""
    count = done + len(head.parts)
    stuck = not head.parts and head.total > done
    most = 10 * limits.max_parts  # an Outlook mail can have parts that are no files
    if stuck or not count <= head.total <= most or sum(p.size for p in head.parts) != len(body):
        raise ValueError("parts that do not fit")
    return list(_parts(head.parts, body)), head.total


def _parts(parts: tuple[_Part, ...], body: bytes) -> Iterator[Attachment | RefusedPart]:
    start = 0
    for part in parts:
        if part.code:
            yield RefusedPart(safe_path(part.name, "part"), part.code, part.reason)
            continue
        if part.media_type not in _MEDIA_TYPES:
            raise ValueError("an unknown type")
        name = safe_path(part.name, "part")
        yield Attachment(name, part.media_type, body[start : start + part.size])
        start += part.size


def error_of(problem: _Problem) -> SuiteError:
    """Return the error that the child met with the document."""
    kinds = [UnreadableDocument, *_below(UnreadableDocument), NotFound]
    kind = next((kind for kind in kinds if kind.code == problem.code), UnreadableDocument)
    return kind(problem.message, document=problem.document)


def _below(kind: type[SuiteError]) -> list[Any]:
    return [inner for sub in kind.__subclasses__() for inner in (sub, *_below(sub))]
