"""Judge reports, for `triage`, `batch` and `watch`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from services.cli.documents.files import files_below, open_file, read_file, read_stream
from services.cli.documents.reading import open_reader, with_parts
from services.cli.options import load_settings
from services.cli.output.lines import count, error_line, rounded_timings
from shared.errors import SuiteError
from shared.version import VERSION

if TYPE_CHECKING:
    from services.triage.concepts.linear import LinearLabeller
    from services.triage.domain import Verdict
    from services.triage.history import History
    from services.triage.narrative.flags import NarrativeResult
    from services.triage.reading.document import ReadFiling
    from services.triage.reading.report import Linkbases
    from services.triage.routing.risk_control import RiskGuarantee
    from services.triage.statements.model import BadFiling, Filing, Statement
    from shared.documents import ParsedDocument
    from shared.documents.sandbox import Reader

LEFT_OUT_NAMED = 3  # unusable earlier reports that are named; further ones are only counted


class Reports:
    """Reads filings and judges them.

    Args:
        reader: opens mails and archives; by default a new one.

    Raises RiskError, PeersError or FlagsError for a damaged specialist. Without a specialist rules
    decide, and there are no signals and no narrative flags.
    """

    def __init__(self, reader: Reader | None = None) -> None:
        from services.triage.checks.classifier import BreakClassifier, model_of
        from services.triage.narrative.model import FlagModel
        from services.triage.signals.peers import Peers

        artefacts = load_settings().artefacts_folder
        self._judge, self._peers = (
            BreakClassifier.load_if_installed(artefacts),
            Peers.load_if_installed(artefacts),
        )
        self._narrative = FlagModel.load_if_installed(artefacts)
        self._model = model_of(self._judge)
        self._history: History | None = None
        self._promised: RiskGuarantee | None = None
        self._own = None if reader else open_reader()
        self._reader = reader or self._own or open_reader()
        self.most_bytes = self._reader.limits.max_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._own:
            self._own.close()

    def state_risk(self, max_wrong: float, broken: float | None) -> None:
        """Route findings for a stated risk."""
        from services.triage.routing.risk_control import make_guarantee, read_calibration
        from shared.policy.rules import RiskRules

        guarantee = self._judge.guarantee if self._judge else None
        calibration = read_calibration(guarantee) if guarantee else None
        self._promised = make_guarantee(calibration, max_wrong, RiskRules().level, broken)

    @property
    def promised(self) -> Mapping[str, Any] | None:
        """The guarantee for filings like those of the calibration; None without a stated risk."""
        return self._promised.to_json() if self._promised else None

    @property
    def maker(self) -> str:
        """The versions of the program, the classifier and the peer ranges."""
        others = (one.model for one in (self._peers, self._narrative) if one)
        models = [self._model, *others]
        return f"triage {VERSION} by {', '.join(f'{m.name} {m.version}' for m in models)}"

    def learn_history(self, path: str, password: str | None = None) -> Iterator[str]:
        """Read the earlier reports below a folder, without hidden files. Prints those that can't be
        used, and how many can.
        """
        from services.triage.history import History
        from services.triage.relations.message_format import counted
        from services.triage.statements.model import BadFiling

        self._history, learned = History(), 0
        unread, unnamed = [], []
        for file in files_below(path) if Path(path).is_dir() else [path]:
            try:
                with open_file(file) as stream:
                    streamed = file.lower().endswith((".jsonl", ".ndjson"))
                    data = stream if streamed else read_stream(stream, file, self.most_bytes)
                    for one in filings_of(self._reader, file, data, password):
                        if isinstance(one, BadFiling):
                            unread.append(f"{file}: {one.message}")
                        elif self._history.add(one.filing):
                            learned += 1
                        else:
                            unnamed.append(f"{file}: {one.filing.id}")
            except SuiteError as error:
                unread.append(f"{file}: {error.message}")
        yield from _left_out(unread, "which can't be read")
        yield from _left_out(unnamed, "without a company name or a date")
        filings = counted(learned, "earlier filing", "earlier filings")
        yield f"{filings} of {counted(len(self._history.of_filer), 'company', 'companies')}"

    def _judged(self, filing: Filing) -> Verdict:
        from services.triage.checks.verdict import FLAGGED, triage_filing
        from services.triage.history import with_history

        verdict = triage_filing(filing, self._judge)
        if self._history is None:
            return verdict
        flagged_from = self._judge.flagged if self._judge else FLAGGED
        if why := self._history.uncompared(filing):
            return replace(verdict, warnings=(*verdict.warnings, why))
        return with_history(filing, verdict, self._history.before(filing), flagged_from)

    def file(self, path: str, password: str | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield one line for each filing; a mail or archive is one line with `parts`.

        JSON lines are read as a stream, since such files may be long.
        """
        from services.triage.statements.model import report_type
        from shared.documents import CONTAINERS, sniff
        from shared.documents.model.formats import NDJSON

        with open_file(path) as stream:
            if report_type("", path) == NDJSON:
                yield from self._lines(path, stream)
                return
            data = read_stream(stream, path, self.most_bytes)
        if not report_type("", path) and sniff(data, path) in CONTAINERS:
            yield with_parts(self._reader, path, data, self.result)
        else:
            yield from self._lines(path, data, password)

    def result(
        self,
        source: str,
        data: bytes,
        password: str | None = None,
        reading: ParsedDocument | None = None,
    ) -> Mapping[str, Any]:
        """All filings of one document as one result. A mail or archive itself has none.

        Args:
            reading: the parsed document, if it was read before.

        Raises UnreadableDocument if no filing can be read.
        """
        from services.triage.statements.model import report_type
        from shared.documents import CONTAINERS, sniff
        from shared.errors import UnreadableDocument

        if not report_type("", source) and sniff(data, source) in CONTAINERS:
            return {"source": source}
        lines = self._lines(source, data, password, reading)
        filings = [{k: v for k, v in line.items() if k != "source"} for line in lines]
        if all("error" in one and not one.get("narrative_flags") for one in filings):
            reasons = "; ".join(filing["error"]["detail"] for filing in filings)
            raise UnreadableDocument(reasons or "it has no filing", document=source)
        return {"source": source, "filings": filings}

    def _lines(
        self,
        source: str,
        data: bytes | BinaryIO,
        password: str | None = None,
        reading: ParsedDocument | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """Yield one line for each filing. The error line of a document without statements has its
        narrative flags.
        """
        from services.triage.reading.report import NoStatements

        try:
            yield from self._filings(source, data, password, reading)
        except NoStatements as error:
            words = self._words(error.reading)
            if not words.flags:
                raise
            flags = [flag.to_json() for flag in words.flags]
            line = error_line(source, error)
            yield {**line, "warnings": list(words.warnings), "narrative_flags": flags}

    def _filings(
        self,
        source: str,
        data: bytes | BinaryIO,
        password: str | None,
        reading: ParsedDocument | None,
    ) -> Iterator[Mapping[str, Any]]:
        from services.triage.routing.risk_control import route_verdict
        from services.triage.signals.signals import signals_of
        from services.triage.statements.model import BadFiling

        began = time.monotonic()
        for found in filings_of(self._reader, source, data, password, reading):
            read = time.monotonic()
            if isinstance(found, BadFiling):
                yield bad_filing_line(source, found)
            else:
                verdict = self._judged(found.filing)
                unusual = signals_of(found.filing, self._peers) if self._peers else ()
                words = self._words(found.reading)
                now = time.monotonic()
                timings = rounded_timings(read=read - began, find=now - read)
                signals = [signal.to_json() for signal in unusual]
                shown = (
                    route_verdict(verdict, found.filing, self._promised, found.reading)
                    if self._promised
                    else verdict.to_json()
                )
                names = ("id", "company", "form", "period")
                about = {name: getattr(found.filing, name) for name in names}
                yield {
                    "source": source,
                    **about,
                    **shown,
                    "warnings": [*shown["warnings"], *found.notes, *words.warnings],
                    "signals": signals,
                    "narrative_flags": [flag.to_json() for flag in words.flags],
                    "timings": timings,
                }
            began = time.monotonic()

    def _words(self, reading: ParsedDocument | None) -> NarrativeResult:
        """The narrative flags of a document; none for data."""
        from services.triage.narrative.flags import NarrativeResult, read_narrative

        if reading is None or self._narrative is None:
            return NarrativeResult()
        return read_narrative(reading, self._narrative)


def _left_out(some: Sequence[str], why: str) -> Iterator[str]:
    """A line for all unusable reports, with the first of them; None if there are none."""
    if some:
        more = f"; and {len(some) - LEFT_OUT_NAMED} more" if len(some) > LEFT_OUT_NAMED else ""
        reports = count(len(some), "earlier report")
        yield f"left out: {reports} {why}: {'; '.join(some[:LEFT_OUT_NAMED])}{more}"


def filings_of(
    reader: Reader,
    source: str,
    data: bytes | BinaryIO,
    password: str | None = None,
    reading: ParsedDocument | None = None,
) -> Iterator[ReadFiling | BadFiling]:
    """The filings of a file, which may be read already.

    Raises UnreadableDocument if there is nothing to check in it.
    """
    from services.triage.reading.document import read_document
    from services.triage.statements.model import report_type
    from shared.documents import sniff

    name = Path(source).name
    content = data if isinstance(data, bytes) else b""
    yield from read_document(
        data,
        report_type("", source) or sniff(content, source),
        name,
        reading=lambda: reading or reader.read(content, name=name, password=password),
        facts=reader.facts,
        linkbases=_linkbases(source, reader.limits.max_bytes),
        usual_lines=_usual_lines,
    )


def _usual_lines(statement: Statement) -> Sequence[bool]:
    """Whether each line of a statement is usual; none is without its model."""
    labeller = _labeller()
    return labeller.usual_lines(statement) if labeller else [False] * len(statement.rows)


@cache
def _labeller() -> LinearLabeller | None:
    """The labeller, which few documents need. Raises NamesError if it is damaged."""
    from services.triage.concepts.linear import LinearLabeller

    return LinearLabeller.load_if_installed(load_settings().artefacts_folder)


def bad_filing_line(source: str, filing: BadFiling) -> Mapping[str, Any]:
    """The error line of an unreadable filing."""
    error = {"type": "unreadable_document", "detail": filing.message}
    return {"source": source, "id": filing.id, "error": error}


def _linkbases(path: str, most: int) -> Linkbases | None:
    """The presentation and label linkbases next to an instance, by their usual names."""
    from services.triage.reading.report import Linkbases

    stem = Path(path).with_suffix("")
    stems = [stem, stem.with_name(stem.name.removesuffix("_htm"))]
    found = {
        part: next((p for s in stems if (p := s.with_name(f"{s.name}_{part}.xml")).is_file()), None)
        for part in ("pre", "lab")
    }
    if Path(path).suffix.lower() not in (".xml", ".xbrl") or not found["pre"]:
        return None
    labels = read_file(str(found["lab"]), most) if found["lab"] else None
    return Linkbases(read_file(str(found["pre"]), most), labels)
