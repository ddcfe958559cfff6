"""Store and announce the results of one report, and measure its cost."""

from __future__ import annotations

import io
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from services.triage.domain import Model, Report, ReportFinding
from services.triage.routing.questions import question_blobs
from shared.blobs import BlobStore, MissingBlob
from shared.blobs.markers import ref_of, ref_of_stream
from shared.events import AdapterVersion, BlobRef, DocumentRead, FindingsFound
from shared.inference import BaseError

if TYPE_CHECKING:
    from services.triage.analysis import ReportAnalysis

OWNER = "triage"  # the owner of the blobs made here
MOST_COUNTED = 1_000_000  # bytes of a text whose tokens are counted; others are estimated
SPOOLED = 8_000_000  # bytes of statements in memory; more go to a temporary file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spools:
    """JSON lines of a report in work, so that a large one does not fill the memory."""

    statements: BinaryIO  # one filing per line
    signals: BinaryIO

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Self]:
        with (
            tempfile.SpooledTemporaryFile(SPOOLED) as statements,
            tempfile.SpooledTemporaryFile(SPOOLED) as signals,
        ):
            yield cls(cast(BinaryIO, statements), cast(BinaryIO, signals))

    def write(self, statements: Mapping[str, Any], signals: Sequence[Mapping[str, Any]]) -> None:
        """Add one filing; one without statements could not be read."""
        if statements:
            self.statements.write(_line(statements))
        self.signals.writelines(map(_line, signals))


def _line(form: Mapping[str, Any]) -> bytes:
    return json.dumps(form, ensure_ascii=False).encode() + b"\n"


class Results:
    """The blobs of one report and their references, which are noted before the blobs are put.

    Lists for a person are None if they are empty. Other empty results have references of size 0,
    and no blobs.
    """

    def __init__(self, analysis: ReportAnalysis, spools: Spools) -> None:
        self.analysis = analysis
        self._blobs: dict[BlobRef, bytes | BinaryIO] = {}
        for data in question_blobs(analysis.questions):
            self._add(data)
        self.findings = self._add(findings_json(analysis.routed_findings))
        self.flags = self._add(b"".join(map(_line, analysis.flags)))
        self.statements, self.signals = self._add(spools.statements), self._add(spools.signals)
        self.title = analysis.title if len(analysis.filings) == 1 else None
        self.title_ref = self._add(self.title.model_dump_json().encode()) if self.title else None
        self.strong, self.strong_flags = (
            self._add(_json(items)) if items else None
            for items in (analysis.strong_signals, analysis.strong_flags)
        )

    def _add(self, data: bytes | BinaryIO) -> BlobRef:
        if isinstance(data, bytes):
            ref = ref_of(data, OWNER)
        else:
            data.seek(0)
            ref = ref_of_stream(data, OWNER)
        if ref.size:
            self._blobs[ref] = data
        return ref

    @property
    def refs(self) -> set[BlobRef]:
        """The references of all blobs."""
        return set(self._blobs)

    def put(self, blobs: BlobStore, tenant: str) -> None:
        """Write all blobs."""
        for data in self._blobs.values():
            if isinstance(data, bytes):
                blobs.put(tenant, data)
            else:
                blobs.put_stream(tenant, data)


def findings_json(findings: Sequence[ReportFinding]) -> bytes:
    """The list of findings that an event refers to."""
    return _json([finding.announced() for finding in findings])


def _json(items: list[dict[str, Any]]) -> bytes:
    return json.dumps(items, ensure_ascii=False).encode()


def announcement(
    report: Report, findings: BlobRef, actor: str | None, **more: Any
) -> FindingsFound:
    """The event about the stored results of a report; `more` has its further fields."""
    return FindingsFound(
        tenant=report.tenant,
        document_id=report.document_id,
        actor=actor,
        name=report.name,
        findings=findings,
        count=report.found,
        flagged=report.flagged,
        risk=report.risk,
        unreadable=report.unreadable,
        warnings=report.warnings,
        attempt=report.attempt,
        model=report.model and f"{report.model.name} {report.model.version}",
        signals=report.strong,
        narrative=report.narrative_strong,
        coverage=report.coverage["summary"] if report.coverage else None,
        **more,
    )


def tokens_of(source: BinaryIO, size: int, count: Callable[[str], int]) -> int:
    """The number of tokens of a text of `size` bytes in UTF-8."""
    head = source.read(MOST_COUNTED)
    counted = count(head.decode("utf-8", "ignore"))
    return counted if len(head) >= size else round(counted * size / len(head))


def usage_of(
    event: DocumentRead,
    blobs: BlobStore,
    model: Model,
    seconds: float,
    analysis: ReportAnalysis,
    count: Callable[[str], int],
) -> tuple[AdapterVersion, ...]:
    """The usage record of a report; empty if it was deleted. `count` counts tokens of a text."""
    outputs = [item.finding.message for item in analysis.findings]
    outputs += [flag["text"] for flag in analysis.flags]
    written = "\n".join(outputs).encode("utf-8", "replace")
    try:
        with blobs.open(event.tenant, event.text) as source:
            tokens = tokens_of(source, event.text.size, count)
        quoted = tokens_of(io.BytesIO(written), len(written), count)
    except MissingBlob:
        return ()
    except BaseError as error:
        log.warning("the usage of a report is not recorded: %s", error.message)
        return ()
    return (
        AdapterVersion(
            name=model.name, version=model.version, seconds=seconds, tokens=tokens, quoted=quoted
        ),
    )
