"""What a policy would do with reports that were checked before. Nothing is read anew or changed.

Each report is taken as it was checked: its findings with their confidence, its statements, and what
was noted of each of its filings. What is promised for those is asked again, by the same code that
routes new findings. A finding that is folded away counts for nothing: nobody is asked about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.triage import guarantee
from services.triage.domain import CheckedFiling, Model, Report, ReportFinding, Verdict, finding_id
from services.triage.past.store import Filings
from services.triage.questions import Asked, worthiest
from services.triage.reading.document import checked, narrowed
from services.triage.results import Routing
from services.triage.risk import Judge, model_of
from services.triage.statements import JSON, Filing, read_filings
from services.triage.store import Reports
from shared.asking import AskRules
from shared.policy import KIND_UNSURE, RiskRules
from shared.storage import BlobStore, MissingBlob, Store
from shared.storage.watches import Drawn
from shared.trial import Tally
from shared.watch.local import SHIPPED, Local

UNSTATED = (
    "not guaranteed: how many reports have an error is not stated (`broken` of "
    "`[tenants.….findings]` in the policy)"
)
TIGHTENED = (
    "too many checks were wrong: accepted is what has a confidence of {:.1%} or more, which is "
    "stricter than what was promised"
)
NOTHING: Mapping[str, Drawn] = {}
"""Nobody has decided anything."""
KEPT = "kept"
"""Stands for the warnings of a filing, of which only the number is kept."""


@dataclass(frozen=True)
class PastFiling:
    """One filing of a report as it was checked, with its findings, the surest first."""

    filing: Filing
    recognised: bool
    findings: Sequence[ReportFinding]


@dataclass(frozen=True)
class PastReport:
    """One report as it was checked. `filings` are those with findings, and can be read once."""

    model: Model | None
    """What judged it."""
    filings: Iterable[PastFiling]
    kind_unsure: bool = False
    """Whether it may be no report."""


def past(
    store: Store, blobs: BlobStore, tenant: str, unsure: Collection[str] = ()
) -> Iterator[PastReport | None]:
    """Yield every report of a tenant that was checked; None for one of which it is not known what
    its routes hang on, being checked by a release that did not note it, or whose statements are
    gone. `unsure` are ids of documents of which a person is still to say the kind.
    """
    with store.read() as session:
        reports, noted = Reports(session, tenant), Filings(session, tenant)
        for document in reports.triaged():
            report = reports.get(document)
            if report is None:
                continue
            filings = noted.of(document, report.attempt)
            if len(filings) != report.filings or report.statements is None:
                yield None
                continue
            found = reports.all_findings(document)
            try:
                with blobs.open(tenant, report.statements) as lines:
                    read = _filings(report, lines, filings, found)
                    yield PastReport(report.model, read, document in unsure)
            except MissingBlob:
                yield None


def _filings(
    report: Report,
    lines: Iterable[bytes],
    noted: Sequence[CheckedFiling],
    found: Sequence[ReportFinding],
) -> Iterator[PastFiling]:
    """Yield the filings that have findings, a line each; of the others nothing is asked."""
    left: dict[str, list[ReportFinding]] = defaultdict(list)
    for finding in found:
        left[finding.filing].append(finding)
    for one, line in zip(noted, lines, strict=False):
        if not left:
            return
        filing = _filing(line, one)
        named = f"{one.number} {filing.id}"
        mine: list[ReportFinding] = []
        others: list[ReportFinding] = []
        for finding in left.pop(filing.id, ()):
            own = finding_id(report.tenant, report.document_id, named, finding.finding)
            (mine if own == finding.id else others).append(finding)
        if others:
            left[filing.id] = others
        if mine:
            yield PastFiling(filing, one.recognised, mine)


def _filing(line: bytes, noted: CheckedFiling) -> Filing:
    """A filing as it was checked, but for the words of its warnings."""
    (read,) = read_filings(line, JSON)
    assert isinstance(read, Filing), "what was kept is read again"
    warnings = (KEPT,) * noted.warnings
    return replace(narrowed(checked(read)), whole=noted.whole, warnings=warnings)


def tried(
    reports: Iterable[PastReport],
    policies: Sequence[tuple[RiskRules, AskRules]],
    judge: Judge | None,
    verdicts: Mapping[str, str],
    key: bytes,
    local: Local = SHIPPED,
    decisions: Mapping[str, Drawn] = NOTHING,
) -> list[Tally]:
    """Count what each of some policies would do with the findings of reports.

    Args:
        reports: as they were checked; they are gone through once.
        policies: of their tenant: what may be accepted, and whom it may ask.
        judge: what is installed; None: rules.
        verdicts: of people about findings, by the finding's id.
        key: the secret by which checks are drawn.
        local: what holds in the tenant alone, as came of people's decisions.
        decisions: what is kept of those to watch the promise, by the finding's id.
    """
    known = judge.guarantee if judge else None
    routings = [Routing(rules, known, key, asks, local) for rules, asks in policies]
    tallies = [Tally() for _ in policies]
    for routing, tally in zip(routings, tallies, strict=True):
        made = routing.promise
        if made is not None and made.threshold is not None and local.step:
            tally.tightened[TIGHTENED.format(made.threshold)] = None
    for report in reports:
        why = _outdated(report.model, model_of(judge))
        asked: list[list[Asked]] = [[] for _ in policies]
        mine = [replace(one, kind_unsure=report.kind_unsure) for one in routings]
        for one in report.filings:
            for place, routing in enumerate(mine):
                questions = _try(one, routing, why, tallies[place], verdicts, decisions)
                asked[place] = worthiest([*asked[place], *questions])
        for tally, questions in zip(tallies, asked, strict=True):
            tally.escalated += len(questions)
            tally.usd += sum(question.usd for question in questions)
    return tallies


def _outdated(judged: Model | None, installed: Model) -> str:
    """Why nothing can be promised for what another version judged; empty if this one did."""
    if judged == installed:
        return ""
    now = f"{installed.name} {installed.version} is installed: have it read again"
    if judged is None:
        return f"not guaranteed: what judged it is not known any more, and {now}"
    return f"not guaranteed: {judged.name} {judged.version} judged it, and {now}"


def _try(
    one: PastFiling,
    routing: Routing,
    outdated: str,
    tally: Tally,
    verdicts: Mapping[str, str],
    decisions: Mapping[str, Drawn],
) -> list[Asked]:
    """Count the findings of one filing, and return the questions that are worth their price."""
    findings = tuple(found.finding for found in one.findings)
    verdict = Verdict(one.filing.id, False, 0.0, findings, one.filing.warnings)
    unlike = KIND_UNSURE if routing.kind_unsure else ""  # which is one of the warnings, too
    unlike = unlike or guarantee.why_unlike(verdict, one.filing, one.recognised)
    made = routing.promise
    if made is not None:
        stated = UNSTATED if made.why_not == guarantee.UNKNOWN else made.why_not
        made = guarantee.unless(made, stated or outdated or unlike)
    routed = []
    for found, route in zip(one.findings, guarantee.routes_of(verdict, made), strict=True):
        if found.finding.dismissed:
            continue
        now = routing.drawn(replace(found, route=route, sampled=False))
        routed.append(now)
        said, kept, finding = verdicts.get(now.id), decisions.get(now.id), now.finding
        right, decided = _right(now, routing), kept.decided if kept else None
        tally.add(finding.check, finding.message, now.route, now.sampled, right, said, decided)
    if made is not None and made.why_not and routed:
        tally.why_not[made.why_not] += len(routed)
    if routing.silent or outdated or (routing.trusts and unlike):
        return []
    return routing.worth_asking(one.filing, routed)


def _right(found: ReportFinding, routing: Routing) -> float:
    """How likely an accepted finding is right, by decisions where they made a calibration; nothing
    is accepted where nothing is known.
    """
    if found.route == "accept" and routing.local.data:
        return routing.belief(found)
    known, broken = routing.known, routing.rules.findings.broken
    if found.route != "accept" or known is None or broken is None:
        return 0.0
    return guarantee.seen_right(found.finding.confidence, known, broken)
