"""What came of the filings of one document, and the blobs that it is kept in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Self, cast

from services.triage import guarantee
from services.triage.dismissals import NOTHING, Dismissals, filer_of
from services.triage.domain import CheckedFiling, NamedCell, ReportFinding, Verdict, finding_id
from services.triage.history import last_day
from services.triage.judgement import triage_filing
from services.triage.narrative.flags import asked, flag_id, words_of
from services.triage.narrative.model import Narrative
from services.triage.questions import (
    Asked,
    blobs_of,
    escalated,
    refs_of,
    worth_asking,
    worthiest,
)
from services.triage.risk import Judge
from services.triage.signals.peers import Peers
from services.triage.signals.signals import signal_id, signals_of
from services.triage.statements import Filing, quoted
from services.triage.watch.inputs import Judged
from shared.asking import SILENT, AskRules, others_than
from shared.documents.reading import Reading
from shared.events import BlobRef, Route
from shared.policy import EVERYTHING, KIND_UNSURE, RiskRules
from shared.storage import BlobStore
from shared.storage.deletion import ref_of, ref_of_stream
from shared.storage.secret import draw
from shared.watch.evidence import STEPS
from shared.watch.local import SHIPPED, Local
from shared.watch.watching import share_of

OWNER = "triage"
"""Whose the blobs are that are made here."""
SPOOLED = 8_000_000
"""Bytes of statements that are kept in memory; more go to a temporary file."""
SHOWN_WARNINGS = 50
"""Warnings of one document that are kept; the rest is counted."""


@dataclass(frozen=True)
class Routing:
    """What a tenant lets triage accept without a person, how checks of that are drawn, and whom it
    may ask about the rest.
    """

    rules: RiskRules = EVERYTHING
    known: bytes | None = None
    """The calibration set of findings; None where there is none."""
    key: bytes = b""
    """The secret of the draws."""
    asks: AskRules = SILENT
    local: Local = SHIPPED
    """What holds in the tenant alone, as came of people's decisions."""
    kind_unsure: bool = False
    """Whether the document may be no report."""

    @property
    def promise(self) -> guarantee.Promise | None:
        """What is promised; None: no risk is stated, and a person looks at everything."""
        return guarantee.promised(self.known, self.rules.findings, self.rules.level, self.local)

    @property
    def share(self) -> float:
        """The share of what could be accepted that people check."""
        return share_of(self.rules.sample_share, self.local)

    @property
    def line(self) -> guarantee.Line:
        """How a confidence becomes a belief."""
        return guarantee.line_of(self.known, self.local.data, self.rules.findings.broken)

    def routes(self, verdict: Verdict, filing: Filing, reading: Reading | None) -> Sequence[Route]:
        """What could be done with each finding, before checks are drawn."""
        made = self.promise
        made = made and guarantee.promised_for(verdict, filing, made, reading)
        made = made and guarantee.unless(made, KIND_UNSURE if self.kind_unsure else "")
        return guarantee.routes_of(verdict, made)

    def drawn(self, found: ReportFinding) -> ReportFinding:
        """The finding, as a check if it could be accepted and is drawn."""
        if found.route != "accept" or draw(self.key, "sample", found.id) >= self.share:
            return found
        return replace(found, route="review", sampled=True)

    def questions(
        self,
        verdict: Verdict,
        filing: Filing,
        reading: Reading | None,
        found: Sequence[ReportFinding],
    ) -> list[Asked]:
        """What is worth a question. Who is asked about may be accepted by what a model says, where
        one is trusted: so nothing is asked about a filing of a sort that nothing is known of, nor
        where it may be no report, nor where checks have ended all acceptance.
        """
        unlike = self.kind_unsure or guarantee.unlike(verdict, filing, reading)
        if self.silent or (self.trusts and unlike):
            return []
        return self.worth_asking(filing, found)

    @property
    def silent(self) -> bool:
        """Whether nothing is asked: nobody may be, or checks have ended all acceptance, also of
        what a model says.
        """
        return not self.asks.prices or (self.trusts and self.local.step >= STEPS)

    @property
    def trusts(self) -> bool:
        """Whether what a model says may accept a finding."""
        return self.rules.trust == "measured" and self.rules.findings.max_wrong is not None

    def worth_asking(self, filing: Filing, found: Sequence[ReportFinding]) -> list[Asked]:
        """What of a filing is worth its price, of whatever sort that is."""
        belief = {one.id: self.belief(one) for one in found}
        others = others_than("report", self.kind_unsure)
        return list(worth_asking(filing, found, belief, self.asks, self.rules, others))

    def belief(self, found: ReportFinding) -> float:
        """How likely a finding is right."""
        return self.line.belief_of(found.finding.confidence)


@dataclass
class Outcome:
    """What came of the filings of one document."""

    judge: Judge | None = None
    peers: Peers | None = None
    dismissed: Callable[[str], Dismissals] = lambda _: NOTHING
    """What was dismissed of a filer."""
    findings: list[ReportFinding] = field(default_factory=list)
    narrative: Narrative | None = None
    routing: Routing = Routing()
    asked: list[Asked] = field(default_factory=list)
    """Questions about findings that are worth most, so far."""
    strong: list[dict[str, Any]] = field(default_factory=list)
    """Signals that a person is to look at, as REST answers them."""
    flags: list[dict[str, Any]] = field(default_factory=list)
    """Narrative flags, as REST answers them."""
    strong_flags: list[dict[str, Any]] = field(default_factory=list)
    """Those that a person is to look at."""
    warnings: list[str] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    """Filings of which something could be promised."""
    decided: frozenset[str] = frozenset()
    """Ids of the findings of the document about which people had decided something before."""
    folded: list[Judged] = field(default_factory=list)
    """Filings of which something could be promised but for what was dismissed of the filer, with
    the finding that would be the surest: one that is decided."""
    filers: dict[str, str] = field(default_factory=dict)
    """Whose filings they are, and the first of the latest days that each is about."""
    filings: list[CheckedFiling] = field(default_factory=list)
    read: int = 0
    unread: int = 0
    flagged: bool = False
    risk: float = 0.0

    def add(
        self, tenant: str, document_id: str, filing: Filing, reading: Reading | None = None
    ) -> None:
        """Check one more filing, of a document that was read so; None for data."""
        filer = filer_of(filing.company)
        known = self.dismissed(filer) if filer else NOTHING
        words = known.word_on if known.of_relation else None
        verdict = triage_filing(filing, self.judge, words)
        self.read += 1
        if filer and (last := last_day(filing)):
            self.filers[filer] = min(last, self.filers.get(filer, last))
        warnings = len(verdict.warnings or filing.warnings) + self.routing.kind_unsure
        recognised = guarantee.is_recognised(reading)
        self.filings.append(CheckedFiling(self.read, filing.whole, recognised, warnings))
        self.flagged |= verdict.flagged
        self.risk = max(self.risk, verdict.risk)
        own = [f"{quoted(filing.id)}: {warning}" for warning in verdict.warnings]
        if not verdict.checked:  # said before what there may be too much of to be said
            self.warnings.insert(0, own.pop(0))
        self.warnings += own
        named = f"{self.read} {filing.id}"

        def found_by(one: Verdict) -> list[ReportFinding]:
            routes = self.routing.routes(one, filing, reading)
            return [
                self.routing.drawn(
                    ReportFinding(finding_id(tenant, document_id, named, f), filing.id, f, filer, r)
                )
                for f, r in zip(one.findings, routes, strict=True)
            ]

        found = found_by(verdict)
        self.findings += found
        counts = self.judge and not self.routing.kind_unsure  # for what is promised of reports
        if counts and not guarantee.unlike(verdict, filing, reading):
            surest = guarantee.surest(found)
            self.judged.append(Judged.of(document_id, named, filer, verdict.risk, filing, surest))
        elif counts and self.decided and any(f.dismissed for f in verdict.findings):
            plain = triage_filing(filing, self.judge)
            first = guarantee.surest(found_by(plain))
            if first and first.id in self.decided and not guarantee.unlike(plain, filing, reading):
                one = Judged.of(document_id, named, filer, plain.risk, filing, first)
                self.folded.append(one)
        questions = self.routing.questions(verdict, filing, reading, found)
        self.asked = worthiest([*self.asked, *questions])

    def signals(self, tenant: str, document_id: str, filing: Filing) -> Iterator[dict[str, Any]]:
        """What is unusual in the filing that was checked last, as REST answers it.

        A person is asked about the strongest of those that share a figure: one odd figure makes
        several ratios odd.
        """
        asked: set[NamedCell] = set()
        for signal in signals_of(filing, self.peers) if self.peers else ():
            own = signal_id(tenant, document_id, f"{self.read} {filing.id}", signal)
            found = {"id": own, "filing": filing.id, **signal.to_json()}
            cells = {one.cell for one in signal.inputs}
            if signal.level == "strong" and not cells & asked:
                asked |= cells
                self.strong.append(found)
            yield found

    def read_words(self, tenant: str, document_id: str, reading: Reading) -> None:
        """See what the sentences of a report say of its filer."""
        if self.narrative is None:
            return
        words = words_of(reading, self.narrative)
        found, self.warnings = words.flags, [*words.warnings, *self.warnings]
        shown = {
            flag: {"id": flag_id(tenant, document_id, flag), **flag.to_json()} for flag in found
        }
        self.flags += shown.values()
        self.strong_flags += [shown[flag] for flag in asked(found)]

    @property
    def routed(self) -> list[ReportFinding]:
        """The findings of all filings, each with what is done with it."""
        return escalated(self.findings, self.asked)

    def said(self) -> tuple[str, ...]:
        """The warnings, at most so many as one can read."""
        more = len(self.warnings) - SHOWN_WARNINGS
        rest = (f"{more} more warnings",) if more > 0 else ()
        why_not = (KIND_UNSURE,) if self.routing.kind_unsure and self.routing.promise else ()
        return (*self.warnings[:SHOWN_WARNINGS], *rest, *why_not)


@dataclass(frozen=True)
class Spools:
    """JSON lines while a report is read: its statements, a filing a line, and its signals."""

    statements: BinaryIO
    signals: BinaryIO

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Spools]:
        with (
            tempfile.SpooledTemporaryFile(SPOOLED) as statements,
            tempfile.SpooledTemporaryFile(SPOOLED) as signals,
        ):
            yield cls(cast(BinaryIO, statements), cast(BinaryIO, signals))


def write_line(file: BinaryIO, form: Mapping[str, Any]) -> None:
    """Write one line of JSON lines."""
    file.write(_line(form))


def _line(form: Mapping[str, Any]) -> bytes:
    return json.dumps(form, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Results:
    """The blobs of one document: where they will lie, to be noted before they are put."""

    spools: Spools
    lists: tuple[bytes, ...]
    findings: BlobRef
    strong: BlobRef | None
    """None where no signal is strong."""
    statements: BlobRef
    signals: BlobRef
    """Of size 0, and then no blob, where there are none."""
    flags: BlobRef
    """JSON lines as well, and no blob where there are none."""
    strong_flags: BlobRef | None
    asked: frozenset[BlobRef] = frozenset()
    """Questions, and the texts of their tables."""

    @classmethod
    def of(cls, outcome: Outcome, spools: Spools) -> Self:
        """All of them; nothing is written yet."""
        findings = findings_listed(outcome.routed)
        strong = _listed(outcome.strong) if outcome.strong else None
        flags = b"".join(map(_line, outcome.flags))
        strong_flags = _listed(outcome.strong_flags) if outcome.strong_flags else None
        return cls(
            spools=spools,
            lists=(
                *(one for one in (findings, strong, flags, strong_flags) if one),
                *blobs_of(outcome.asked),
            ),
            asked=frozenset(refs_of(outcome.asked)),
            findings=ref_of(findings, OWNER),
            strong=ref_of(strong, OWNER) if strong else None,
            statements=ref_of_stream(spools.statements, OWNER),
            signals=ref_of_stream(spools.signals, OWNER),
            flags=ref_of(flags, OWNER),
            strong_flags=ref_of(strong_flags, OWNER) if strong_flags else None,
        )

    @property
    def refs(self) -> set[BlobRef]:
        """Of all that is kept."""
        several = (self.findings, self.strong, self.statements, self.signals)
        words = (self.flags, self.strong_flags, *self.asked)
        return {ref for ref in (*several, *words) if ref and ref.size}

    def put(self, blobs: BlobStore, tenant: str) -> None:
        """Write them."""
        self.put_lists(blobs, tenant)
        blobs.put_stream(tenant, self.spools.statements)
        if self.signals.size:
            blobs.put_stream(tenant, self.spools.signals)

    def put_lists(self, blobs: BlobStore, tenant: str) -> None:
        """Write what was not spooled: all there is where no filing was read."""
        for one in self.lists:
            blobs.put(tenant, one)


def findings_listed(findings: Sequence[ReportFinding]) -> bytes:
    """The blob of findings that an event names."""
    return _listed([found.announced() for found in findings])


def _listed(items: list[dict[str, Any]]) -> bytes:
    return json.dumps(items, ensure_ascii=False).encode()
