"""The tools for assistants. Each makes its requests with the caller's key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent
from pydantic import Field

from services.cli.assistants import answers
from services.cli.assistants.answers import bounded
from services.cli.deployment.owner_key import NAME as OWNER_KEY
from services.cli.output.lines import count
from shared.errors import SuiteError

if TYPE_CHECKING:
    from smallprint import Client

_WAIT = re.compile(r"GET /v1/documents/\w+\?wait=20")
"""The request that waits for a document, in messages for programs."""
Connect = Callable[[], AbstractContextManager["Client"]]
"""Gives a client with the caller's key. Raises SuiteError."""

WAIT_SECONDS = 20.0
NO_HITS = "Nothing found. Try fewer words, or `prefix*`, or search without a category."

DocumentId = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Id from find_documents or search."),
]
Cursor = Annotated[
    str | None,
    Field(description="`next_cursor` of the last answer; other arguments stay the same."),
]
Kind = Literal["contract", "report", "other"]
OfKind = Annotated[Kind | None, Field(description="Only documents of this kind.")]


class Tools:
    """Tools that read documents and their results.

    Args:
        connect: gives a client for one call.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    @contextmanager
    def _client(self) -> Iterator[Client]:
        try:
            with self._connect() as client:
                yield client
        except (SuiteError, answers.WrongCursor) as error:
            message = _WAIT.sub("get_document", str(error))
            raise ToolError(message[: answers.TEXT_CHARACTERS]) from None

    def find_documents(
        self,
        name: Annotated[
            str | None, Field(description="Part of the file name; case does not matter.")
        ] = None,
        kind: OfKind = None,
        outcome: Annotated[
            Literal["complete", "partial", "failed", "rejected"] | None,
            Field(description="Only documents that ended like this."),
        ] = None,
        parent: Annotated[
            DocumentId | None, Field(description="Id of a mail or archive: only its parts.")
        ] = None,
        cursor: Cursor = None,
    ) -> Annotated[CallToolResult, answers.Documents]:
        """List documents, the newest first. To search their text, use search."""
        with self._client() as client:
            found = client.documents(name=name or None, kind=kind, outcome=outcome, parent=parent)
            items, more = bounded(map(answers.DocumentItem.of, found), cursor)
        return _result(answers.Documents(documents=items, next_cursor=more))

    def get_document(
        self, document_id: DocumentId
    ) -> Annotated[CallToolResult, answers.OneDocument]:
        """Show the state of one document. Waits up to 20 seconds while it is in progress."""
        from smallprint import WaitedTooLong

        with self._client() as client:
            with suppress(WaitedTooLong):
                client.wait(document_id, WAIT_SECONDS)
            document = answers.DocumentItem.of(client.document(document_id))
        return _result(answers.OneDocument(document=document))

    def read_pages(
        self,
        document_id: DocumentId,
        first_page: Annotated[int, Field(ge=1, description="Page to begin with, from 1.")] = 1,
        offset: Annotated[
            int, Field(ge=0, description="Or where to begin: `start` of a hit or clause.")
        ] = 0,
        cursor: Cursor = None,
    ) -> Annotated[CallToolResult, answers.Pages]:
        """Read the text of a document page by page. Long pages come in pieces.

        A text or DOCX has only one page: begin at an offset there.
        """
        with self._client() as client:
            pages = client.pages(document_id)
            wanted = [page for page in pages if page.page >= first_page]
            text = client.text(document_id)
            if not wanted or offset > len(text):
                raise ToolError(
                    f"the text has only {count(len(pages), 'page')} and "
                    f"{count(len(text), 'character')}"
                )
            items, more = bounded(answers.TextItem.all_of(wanted, text, offset), cursor)
        return _result(answers.Pages(document_pages=len(pages), pages=items, next_cursor=more))

    def search(
        self,
        query: Annotated[
            str | None,
            Field(
                min_length=1,
                max_length=400,
                description='Words that must all occur; `"a phrase"` and `prefix*` work. '
                "Omit it to list all clauses of a category.",
            ),
        ] = None,
        within: Annotated[
            Literal["text", "clauses"], Field(description="Search pages, or clauses only.")
        ] = "text",
        category: Annotated[
            str | None,
            Field(max_length=64, description="Only clauses of this category of list_presence."),
        ] = None,
        kind: OfKind = None,
        document_id: Annotated[
            DocumentId | None, Field(description="Search this document only.")
        ] = None,
        cursor: Cursor = None,
    ) -> Annotated[CallToolResult, answers.Hits]:
        """Find words in all documents, or all clauses of a category.

        Gives document, page and passage of each hit. A page is one hit, even if it has the words
        several times: read on with read_pages.
        """
        with self._client() as client:
            hits = client.search(
                query, within=within, category=category, kind=kind, document=document_id
            )
            items, more = bounded(map(answers.HitItem.of, hits), cursor)
        return _result(answers.Hits(hits=items, hint=None if items else NO_HITS, next_cursor=more))

    def list_clauses(
        self,
        document_id: DocumentId,
        category: Annotated[
            str | None, Field(description="Only this category of list_presence.")
        ] = None,
        cursor: Cursor = None,
    ) -> Annotated[CallToolResult, answers.Clauses]:
        """List the clauses found in a contract, with exact text and page.

        A clause may exist although it is not listed, and other topics have no category: use search
        for them. `route` is `accept` if a result is certain enough, otherwise a person checks it.
        """
        with self._client() as client:
            if category:
                _check_category(client, document_id, category)
            clauses = client.clauses(document_id, category=category)
            items, more = bounded(map(answers.ClauseItem.of, clauses), cursor)
        return _result(answers.Clauses(clauses=items, next_cursor=more))

    def list_values(
        self, document_id: DocumentId, cursor: Cursor = None
    ) -> Annotated[CallToolResult, answers.Values]:
        """List a contract's parties, dates, durations, amounts and governing law.

        Dates and durations are ISO 8601.
        """
        with self._client() as client:
            pages = {clause.id: clause.page for clause in client.clauses(document_id)}
            values = (answers.ValueItem.of(one, pages) for one in client.values(document_id))
            items, more = bounded(values, cursor)
        return _result(answers.Values(values=items, next_cursor=more))

    def list_presence(
        self, document_id: DocumentId, cursor: Cursor = None
    ) -> Annotated[CallToolResult, answers.PresenceAnswer]:
        """Say for each clause category whether a contract has it, with a probability."""
        with self._client() as client:
            presence = client.presence(document_id)
            items, more = bounded(map(answers.PresenceItem.of, presence), cursor)
        return _result(answers.PresenceAnswer(presence=items, next_cursor=more))

    def read_statements(
        self,
        document_id: DocumentId,
        statement: Annotated[
            Literal["balance_sheet", "income", "cash_flow", "equity"] | None,
            Field(description="Only this statement."),
        ] = None,
        cursor: Cursor = None,
    ) -> Annotated[CallToolResult, answers.Statements]:
        """Read the financial statements of a report, in whole units."""
        with self._client() as client:
            parts = answers.StatementItem.all_of(client.statements(document_id), statement)
            items, more = bounded(parts, cursor)
        return _result(answers.Statements(statements=items, next_cursor=more))

    def list_findings(
        self, document_id: DocumentId, cursor: Cursor = None
    ) -> Annotated[CallToolResult, answers.FindingsAnswer]:
        """List the likely errors in a report, and say what was checked.

        Relations of type `does_not_close` may be lawful.
        """
        with self._client() as client:
            found = client.findings(document_id)
            items, more = bounded(answers.FindingItem.all_of(found), cursor)
        return _result(
            answers.FindingsAnswer(
                flagged=found.flagged,
                risk=round(found.risk, 3),
                checked=found.coverage.summary if found.coverage else None,
                findings=items,
                warnings=list(found.warnings[:5]) or None,
                next_cursor=more,
            )
        )


class Uploads(Tools):
    """The tool that uploads files of one folder.

    Args:
        connect: gives a client for one call.
        folder: files elsewhere are refused.
    """

    def __init__(self, connect: Connect, folder: Path) -> None:
        super().__init__(connect)
        self._folder = folder.resolve()

    def upload_document(
        self,
        path: Annotated[str, Field(description="Path of a file in the folder for uploads.")],
        kind: Annotated[Kind | None, Field(description="Its kind, if you know it.")] = None,
    ) -> Annotated[CallToolResult, answers.OneDocument]:
        """Upload a file of this machine to the suite. Then use get_document until it has ended."""
        file = (self._folder / path).resolve()
        if not file.is_relative_to(self._folder):
            raise ToolError(f"{path} is not in {self._folder}: only its files may be uploaded")
        parts = file.relative_to(self._folder).parts
        if OWNER_KEY in parts or any(part.startswith(".") for part in parts):
            raise ToolError(f"{path} is hidden or a key: only documents may be uploaded")
        if not file.is_file():
            raise ToolError(f"{path} is no file of {self._folder}")
        with self._client() as client:
            try:
                document = client.upload(file, kind=kind)
            except OSError as error:
                raise ToolError(f"{path} can't be read: {error.strerror or error}") from None
        return _result(answers.OneDocument(document=answers.DocumentItem.of(document)))


def _check_category(client: Client, document_id: str, category: str) -> None:
    """Raise ToolError for an unknown category, so that it is not taken for a missing clause."""
    known = sorted({one.category for one in client.presence(document_id)})
    if category.casefold() not in map(str.casefold, known):
        raise ToolError(f"there is no category {category!r}; there is: {', '.join(known)}")


def _result(answer: answers.Answer) -> CallToolResult:
    """The answer as data, and as text for assistants that read only text."""
    return CallToolResult(
        content=[TextContent(type="text", text=answer.model_dump_json(exclude_none=True))],
        structured_content=answer.model_dump(mode="json", exclude_none=True),
    )
