"""Read contracts for clauses and reports for errors, for `extract`, `batch` and `watch`.

The kind of a document is detected as for an upload to the suite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from services.cli.documents.batch import FileReader
from services.cli.documents.contracts import ContractReader
from services.cli.documents.files import read_file
from services.cli.documents.reading import with_parts
from services.cli.documents.reports import Reports
from services.cli.options import load_settings
from shared.errors import UnsupportedType

if TYPE_CHECKING:
    from services.ingest.classifier import DocumentClassifier
    from services.ingest.domain import Classification
    from shared.documents import ParsedDocument

AUTO = "auto"


class NotOurKind(UnsupportedType):
    """A document is neither a contract nor a report."""

    code = "not_our_kind"


class DocumentReader:
    """Reads contracts and reports.

    Args:
        contracts: finds clauses. It opens all documents.
        kind: of all documents; `auto` detects the kind of each.
        password: of encrypted PDFs.
        unsure: the kind of a document whose kind is unsure; None: the likelier one.
    """

    def __init__(
        self,
        contracts: ContractReader,
        kind: str = AUTO,
        password: str | None = None,
        unsure: str | None = None,
    ) -> None:
        self.most_bytes = contracts.most_bytes
        self._contracts = contracts
        self._kind = kind
        self._password = password
        self._unsure = unsure

    def __enter__(self) -> Self:
        self._contracts.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._contracts.__exit__(*error)

    def file(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield the line of a file."""
        yield self.line(path, read_file(path, self.most_bytes))

    def line(self, path: str, data: bytes) -> Mapping[str, Any]:
        """The line of a file; that of a mail or archive has `parts`. Raises SuiteError."""
        return with_parts(self._contracts.reader, path, data, self._result)

    @property
    def files(self) -> FileReader:
        """It as the reader of a folder."""
        return FileReader(self.most_bytes, self.maker, self.line)

    def maker(self, path: str, data: bytes) -> str:
        """The specialists and versions that would read a file. Raises UnreadableDocument."""
        kind = _kind_of_type(path, data) if self._kind == AUTO else self._kind
        if kind == "report":
            return self._reports.maker
        if kind == "contract":
            return self._contracts.maker
        return f"{self._classifier.version}, {self._contracts.maker}, {self._reports.maker}"

    def _result(self, path: str, data: bytes) -> Mapping[str, Any]:
        """The line of a document without its parts."""
        kind: str | None = self._kind
        reading, found = None, None
        if kind == AUTO:
            kind = _kind_of_type(path, data)
            if kind is None:
                reading = self._contracts.read(path, data, self._password)
                found = self._classifier.classify(reading, Path(path).name)
                kind = self._chosen(found, reading)
        unsure = bool(found and found.unsure)
        about = {
            "source": path,
            "kind": kind,
            "kind_confidence": found.confidence if found else None,
            "kind_unsure": unsure,
        }
        doubts = [_doubt(kind)] if unsure else []
        if kind == "report":
            line = self._reports.result(path, data, self._password, reading)
            filings = [_with_warnings(one, doubts) for one in line.get("filings", ())]
            return {**about, **line, **({"filings": filings} if filings else {})}
        line = self._contracts.result(path, data, self._password, reading, kind_unsure=unsure)
        return {**about, **_with_warnings(line, doubts)}

    def _chosen(self, found: Classification | None, reading: ParsedDocument) -> str:
        from services.ingest.domain import kind_of_type

        if found is None:
            return kind_of_type(reading.media_type)
        if found.unsure:
            return self._unsure or found.kind
        if found.kind == "other":
            raise NotOurKind(
                "this is neither a contract nor a report. If it is one, use --kind contract or "
                "--kind report"
            )
        return found.kind

    @cached_property
    def _reports(self) -> Reports:
        return Reports(self._contracts.reader)

    @cached_property
    def _classifier(self) -> DocumentClassifier:
        from services.ingest.classifier import DocumentClassifier

        return DocumentClassifier.load(load_settings().artefacts_folder)


def _kind_of_type(path: str, data: bytes) -> str | None:
    """The kind that the type of a file determines; None if its text decides.

    The text of a mail is a contract; an archive has none.
    """
    from services.ingest.domain import MIXED_TYPES
    from services.triage.statements.model import report_type
    from shared.documents import CONTAINERS, sniff
    from shared.documents.model.formats import JSON, NDJSON

    media_type = sniff(data, Path(path).name)
    if media_type in CONTAINERS:
        return "contract"
    if report_type(media_type, path) in (JSON, NDJSON):
        return "report"  # also broken JSON, which is plain text
    return None if media_type in MIXED_TYPES else "report"


def _doubt(kind: str | None) -> str:
    return f"smallprint is not sure that this is a {kind}: state it with --kind"


def _with_warnings(line: Mapping[str, Any], more: list[str]) -> Mapping[str, Any]:
    return {**line, "warnings": [*more, *line["warnings"]]} if more and "warnings" in line else line
