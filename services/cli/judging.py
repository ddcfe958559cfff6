"""Reports judged: what `triage`, `batch` and `watch` do with each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from services.cli.filings import bad_filing_line, reported
from services.cli.printing import rounded_timings
from services.cli.reading import open_reader, with_parts
from shared.errors import SuiteError
from shared.version import VERSION

if TYPE_CHECKING:
    from services.triage.domain import Verdict
    from services.triage.guarantee import Promise
    from services.triage.history import History
    from services.triage.narrative.flags import Words
    from services.triage.statements import Filing
    from shared.documents import Reading
    from shared.documents.sandbox import Reader

LEFT_OUT_NAMED = 3
"""Earlier reports that can't be used which are named; the others are counted."""


class Reports:
    """Reads filings and judges them.

    Args:
        reader: opens mails and archives; one of its own if none is given.

    Raises RiskError, PeersError or FlagsError for a damaged specialist; where there is none rules
    decide, and there are no signals and no narrative flags.
    """

    def __init__(self, reader: Reader | None = None) -> None:
        from services.triage.narrative.model import Narrative
        from services.triage.risk import Judge, model_of
        from services.triage.signals.peers import Peers
        from shared.settings import CommonSettings, load

        artefacts = load(CommonSettings).artefacts_folder
        self._judge, self._peers = Judge.found(artefacts), Peers.found(artefacts)
        self._narrative = Narrative.found(artefacts)
        self._model = model_of(self._judge)
        self._history: History | None = None
        self._promised: Promise | None = None
        self._own = None if reader else open_reader()
        self._reader = reader or self._own or open_reader()
        self.most_bytes = self._reader.limits.max_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own:
            self._own.close()

    def promise(self, max_wrong: float, broken: float | None) -> None:
        """Say of each finding whether it needs a person, for a stated risk."""
        from services.triage.guarantee import promise, read_calibration
        from shared.policy import RiskRules

        known = self._judge.guarantee if self._judge else None
        calibration = read_calibration(known) if known else None
        self._promised = promise(calibration, max_wrong, RiskRules().level, broken)

    @property
    def promised(self) -> Mapping[str, Any] | None:
        """What is promised of filings like those known; None where no risk is stated."""
        return self._promised.to_json() if self._promised else None

    @property
    def maker(self) -> str:
        """The release, what judges, its version, and that of what is usual."""
        beside = (one.model for one in (self._peers, self._narrative) if one)
        models = [self._model, *beside]
        return f"triage {VERSION} by {', '.join(f'{m.name} {m.version}' for m in models)}"

    def learn_history(self, path: str, password: str | None = None) -> Iterator[str]:
        """Read earlier reports, those of a folder and of the folders in it, but for hidden ones;
        says in a line each what could not be read, what names no company, and how many are known.
        """
        from services.triage.history import History
        from services.triage.statements import BadFiling
        from services.triage.wording import counted
        from shared.cli.files import files_below, open_file, read_stream

        self._history, known = History(), 0
        unread, unnamed = [], []
        for file in files_below(path) if Path(path).is_dir() else [path]:
            try:
                with open_file(file) as stream:
                    streamed = file.lower().endswith((".jsonl", ".ndjson"))
                    data = stream if streamed else read_stream(stream, file, self.most_bytes)
                    for one in reported(self._reader, file, data, password):
                        if isinstance(one, BadFiling):
                            unread.append(f"{file}: {one.message}")
                        elif self._history.add(one.filing):
                            known += 1
                        else:
                            unnamed.append(f"{file}: {one.filing.id}")
            except SuiteError as error:
                unread.append(f"{file}: {error.message}")
        yield from _left_out(unread, "of the earlier reports can't be read")
        yield from _left_out(unnamed, "of the earlier filings name no company or no day")
        filings = counted(known, "earlier filing", "earlier filings")
        yield f"{filings} of {counted(len(self._history.of_filer), 'company', 'companies')}"

    def _judged(self, filing: Filing) -> Verdict:
        from services.triage.history import with_history
        from services.triage.judgement import FLAGGED, triage_filing

        verdict = triage_filing(filing, self._judge)
        if self._history is None:
            return verdict
        flagged_from = self._judge.flagged if self._judge else FLAGGED
        if why := self._history.uncompared(filing):
            return replace(verdict, warnings=(*verdict.warnings, why))
        return with_history(filing, verdict, self._history.before(filing), flagged_from)

    def file(self, path: str, password: str | None = None) -> Iterator[Mapping[str, Any]]:
        """One line a filing; a mail or archive is one line with `parts`.

        JSON lines are read as they stream, for such files may be long.
        """
        from services.triage.statements import NDJSON, report_type
        from shared.cli.files import open_file, read_stream
        from shared.documents import CONTAINERS, sniff

        with open_file(path) as stream:
            if report_type("", path) == NDJSON:
                yield from self._lines(path, stream)
                return
            data = read_stream(stream, path, self.most_bytes)
        if not report_type("", path) and sniff(data, path) in CONTAINERS:
            yield with_parts(self._reader).line(path, data, self.result)
        else:
            yield from self._lines(path, data, password)

    def result(self, source: str, data: bytes) -> Mapping[str, Any]:
        """All filings of one document as one result; a mail's or archive's own is nothing.

        Raises UnreadableDocument if there is none.
        """
        from services.triage.statements import report_type
        from shared.documents import CONTAINERS, sniff
        from shared.errors import UnreadableDocument

        if not report_type("", source) and sniff(data, source) in CONTAINERS:
            return {"source": source}
        lines = self._lines(source, data)
        filings = [{k: v for k, v in line.items() if k != "source"} for line in lines]
        if all("error" in one and not one.get("narrative_flags") for one in filings):
            reasons = "; ".join(filing["error"]["detail"] for filing in filings)
            raise UnreadableDocument(reasons or "there is no filing in it", document=source)
        return {"source": source, "filings": filings}

    def _lines(
        self, source: str, data: bytes | BinaryIO, password: str | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """One line a filing; the error line of a document without statements has what it says of
        its filer in words.
        """
        from services.triage.reading.report import NoStatements
        from shared.cli.lines import error_line

        try:
            yield from self._filings(source, data, password)
        except NoStatements as error:
            words = self._words(error.reading)
            if not words.flags:
                raise
            flags = [flag.to_json() for flag in words.flags]
            line = error_line(source, error)
            yield {**line, "warnings": list(words.warnings), "narrative_flags": flags}

    def _filings(
        self, source: str, data: bytes | BinaryIO, password: str | None
    ) -> Iterator[Mapping[str, Any]]:
        from services.triage.guarantee import routed
        from services.triage.signals.signals import signals_of
        from services.triage.statements import BadFiling

        began = time.monotonic()
        for found in reported(self._reader, source, data, password):
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
                    routed(verdict, found.filing, self._promised, found.reading)
                    if self._promised
                    else verdict.to_json()
                )
                yield {
                    "source": source,
                    **shown,
                    "warnings": [*shown["warnings"], *found.notes, *words.warnings],
                    "signals": signals,
                    "narrative_flags": [flag.to_json() for flag in words.flags],
                    "timings": timings,
                }
            began = time.monotonic()

    def _words(self, reading: Reading | None) -> Words:
        """What the sentences around the statements say of the filer; nothing in data."""
        from services.triage.narrative.flags import Words, words_of

        if reading is None or self._narrative is None:
            return Words()
        return words_of(reading, self._narrative)


def _left_out(some: Sequence[str], why: str) -> Iterator[str]:
    """One line for all that is left out, with the first of it; none for nothing."""
    if some:
        more = f"; and {len(some) - LEFT_OUT_NAMED} more" if len(some) > LEFT_OUT_NAMED else ""
        yield f"{len(some)} {why}, and are left out: {'; '.join(some[:LEFT_OUT_NAMED])}{more}"
