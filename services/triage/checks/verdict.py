"""From broken relations and anomalies to a verdict.

The classifier decides; without it, the confidences by hand do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from services.triage.checks import plausibility
from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.coverage import coverage_of
from services.triage.checks.diagnosis import Diagnosis, diagnose
from services.triage.checks.findings import finding_of, of_anomaly, of_diagnosis, of_swap
from services.triage.checks.fixed_confidence import fixed_findings
from services.triage.checks.plausibility import Anomaly
from services.triage.checks.root_causes import (
    MOST,
    blamed_lines,
    by_confidence,
    cell_key,
    difference_key,
    explaining_lines,
    follows_from,
    put_first,
    select_findings,
    unique_causes,
)
from services.triage.checks.rule_confidence import (
    MANY,
    TRUSTED_ALONE,
    Swap,
    credible_equations,
    find_swaps,
    is_refuted,
    leaves_no_room,
)
from services.triage.checks.suspect_generation import find_suspects
from services.triage.checks.suspects import Suspect
from services.triage.domain import Dismissed, Finding, Verdict
from services.triage.relations import identities
from services.triage.relations.relations import (
    Equation,
    Views,
    statement_views,
)
from services.triage.statements.model import CHECKED, Filing

FLAGGED = 0.5  # risk from which a filing is flagged by rules
NO_RESIDUALS = ("proportion", "sign", "twice", "magnitude", "switched", "switched_sign")
"""Kinds of suspects and anomalies about one line alone. They flag no headlines."""
UNCHECKED = "nothing was checked: "  # the beginning of a warning


DismissalLookup = Callable[[Finding], Dismissed | None]  # of an earlier dismissal


def triage_filing(
    filing: Filing,
    classifier: BreakClassifier | None = None,
    dismissed: DismissalLookup | None = None,
) -> Verdict:
    """Check one filing: by the classifier, or by rules without one.

    The same filing always gets the same verdict. Findings that were dismissed before stay in the
    list, marked, and count neither for risk nor flag.
    """
    views = statement_views(filing)
    if classifier is not None:
        verdict = _by_classifier(filing, classifier, views, dismissed)
    else:
        verdict = _by_rules(filing, views, dismissed)
    verdict = replace(verdict, coverage=coverage_of(filing, views, verdict.findings))
    if verdict.findings or verdict.coverage.relations or (why := _unchecked(views)) is None:
        return verdict
    return replace(verdict, checked=False, warnings=(UNCHECKED + why, *verdict.warnings))


def _unchecked(views: Views) -> str | None:
    """Why nothing in a filing could be checked, or None."""
    if not any(view.kind in CHECKED for view in views):
        return f"it has no statement of a supported kind ({', '.join(CHECKED)})"
    if not any(check(views) for check in identities.REGISTRY.values()):
        return "no relation between its lines was recognised; only English labels are"
    return None


def _by_rules(filing: Filing, views: Views, dismissed: DismissalLookup | None) -> Verdict:
    """The verdict of rules, with confidences by hand."""
    equations = identities.find_equations(views)
    headlines = identities.shows_headlines(views)
    anomalies = plausibility.find_anomalies(views, filing.complete)
    swaps, unswapped = find_swaps(views, equations)
    direct = [e for e in unswapped if not e.holds and leaves_no_room(views, e)]
    believed = list(dict.fromkeys([*credible_equations(views, unswapped), *direct]))
    diagnoses = diagnose(views, believed)
    breaks = Counter((d.cell.statement, d.cell.column) for d in diagnoses)
    broken: list[Finding] = []  # totals that do not balance
    findings_of_rules = [of_swap(views, swap) for swap in swaps]
    for d in diagnoses:
        finding = of_diagnosis(views, d, breaks[d.cell.statement, d.cell.column] >= MANY)
        if _balance_in(d):
            broken.append(_at_least(FLAGGED, finding))
        else:
            findings_of_rules.append(finding)
    remaining = (anomaly for anomaly in anomalies if not is_refuted(anomaly, equations))
    if headlines:
        remaining = (anomaly for anomaly in remaining if not _is_lawful_gap(views, anomaly))
    for finding in (of_anomaly(views, anomaly) for anomaly in remaining):
        most = below(FLAGGED) if headlines and finding.check in NO_RESIDUALS else 1.0
        findings_of_rules.append(replace(finding, confidence=min(finding.confidence, most)))
    findings_of_rules += fixed_findings(views)
    balance, others = put_first(broken, findings_of_rules)
    folded, undismissed = split_dismissed(views, [*balance, *others], dismissed)
    risk = max((f.confidence for f in undismissed), default=0.0)
    findings = _listed(views, balance, undismissed, folded)
    return Verdict(filing.id, risk >= FLAGGED, risk, findings, filing.warnings)


def _listed(
    views: Views,
    always_shown: Sequence[Finding],
    undismissed: Sequence[Finding],
    dismissed: Sequence[Finding],
) -> tuple[Finding, ...]:
    """The findings of a verdict, each cause once, with the dismissed ones."""
    selected = select_findings(views, always_shown, unique_causes(views, undismissed))
    return tuple(by_confidence([*selected, *dismissed]))


def _by_classifier(
    filing: Filing, classifier: BreakClassifier, views: Views, dismissed: DismissalLookup | None
) -> Verdict:
    """The verdict of the classifier: the likely suspects, each cause once.

    An unbalanced balance sheet flags whatever the forest says, and is always shown. Other breaks
    are always shown too, but flag nothing alone: different net income between statements, and cash
    at both ends of a period that its change does not join. A unit that
    earnings per share refute always flags: it breaks no relation, so the forest can't learn it.
    Headlines lawfully leave out lines. So they need a sure residual to be flagged.
    """
    every = find_suspects(views, classifier.patterns, filing.complete)
    headlines = identities.shows_headlines(views)
    if headlines:
        every = [suspect for suspect in every if not _is_lawful_gap(views, suspect.source)]
    probabilities = classifier.probabilities(every)
    if headlines:
        most = below(classifier.flagged)
        probabilities = [
            min(probability, most) if suspect.kind in NO_RESIDUALS else probability
            for probability, suspect in zip(probabilities, every, strict=True)
        ]
    ranked = sorted(zip(probabilities, every, strict=True), key=lambda pair: -pair[0])
    most = 3 * MOST if dismissed is None else len(ranked)
    shown = [pair for pair in ranked if _is_always_shown(views, pair[1])]
    trusted = _to_findings(views, shown[:most])
    likely = _to_findings(views, [pair for pair in ranked if pair[0] >= classifier.shown][:most])
    broken = _to_findings(views, [pair for pair in ranked if _unbalanced(pair[1])][:most])
    sure = [_at_least(classifier.flagged, finding) for finding in broken]
    balance, remaining = put_first(sure, [*trusted, *likely])
    findings_of_checks = [*fixed_findings(views), *balance, *remaining]
    folded, undismissed = split_dismissed(views, findings_of_checks, dismissed)
    unlikely = (probability for probability in probabilities if probability < classifier.shown)
    risk = max((*unlikely, *(finding.confidence for finding in undismissed[:1])), default=0.0)
    always = tuple(finding for finding in undismissed if finding in (*balance, *trusted))
    findings = _listed(views, always, undismissed, folded)
    flagged = risk >= classifier.flagged
    return Verdict(filing.id, flagged, risk, findings, filing.warnings, classifier.model, always)


def split_dismissed(
    views: Views, findings: Sequence[Finding], dismissed: DismissalLookup | None
) -> tuple[list[Finding], list[Finding]]:
    """Dismissed findings, marked, and the others, both by confidence.

    A difference has the same cause as a surer dismissed finding with it in the same column. So does
    a finding about its cell without an amount, and one that follows from it.
    """
    if dismissed is None:
        return [], by_confidence(findings)
    folded: dict[object, Finding] = {}
    undismissed: list[Finding] = []
    causes: set[object] = set()
    for finding in by_confidence(findings):
        cause = difference_key(finding) or cell_key(finding)
        if dismissal := dismissed(finding):
            key = (finding.check, finding.statement, finding.row, finding.column, finding.rows)
            folded.setdefault(key, replace(finding, dismissed=dismissal))
            causes |= {cause, cell_key(finding), *blamed_lines(finding)}
        elif (
            cause not in causes
            and not explaining_lines(finding) & causes
            and not any(follows_from(views, finding, surer) for surer in folded.values())
        ):
            undismissed.append(finding)
    return list(folded.values()), undismissed


def below(flagged: float) -> float:
    """The highest probability that does not flag."""
    return round(flagged - 0.0001, 4)


def _is_always_shown(views: Views, suspect: Suspect) -> bool:
    """Whether a relation breaks that every reader expects to hold: rules believe it, or no unread
    line can lie between.
    """
    if not isinstance(suspect.source, Diagnosis) or suspect.kind == "unit":
        return False
    believed = suspect.numbers.get("by_rule", 0.0) > 0
    return any(
        (believed and equation.check in TRUSTED_ALONE) or leaves_no_room(views, equation)
        for equation in suspect.source.mends
    )


def _is_lawful_gap(views: Views, source: Diagnosis | Swap | Anomaly) -> bool:
    """Whether lines that headlines lawfully leave out explain a break: lines above a total, or
    equity parts such as non-controlling interests between liabilities and equity.

    Such parts make the total larger, usually in all columns.
    """
    if isinstance(source, Anomaly):
        return source.check == "missing_line"
    return isinstance(source, Diagnosis) and all(
        equation.check != identities.BALANCE
        and equation.residual > 0
        and not equation.support
        and total.row in views[total.statement].roles("total_liabilities_and_equity")
        for equation in source.mends
        for total, _ in equation.terms[:1]
    )


def _unbalanced(suspect: Suspect) -> bool:
    """Whether total assets differ from total liabilities and equity by more than rounding."""
    return suspect.kind != "unit" and _balance_in(suspect.source) is not None


def _at_least(least: float, finding: Finding) -> Finding:
    return replace(finding, confidence=max(least, finding.confidence))


def _balance_in(source: Diagnosis | Swap | Anomaly) -> Equation | None:
    """The balance equation that a cause explains, or None."""
    if isinstance(source, Anomaly):
        return None
    equations = source.mends if isinstance(source, Diagnosis) else source.equations
    return next((e for e in equations if e.check == identities.BALANCE), None)


def _to_findings(views: Views, ranked: Sequence[tuple[float, Suspect]]) -> list[Finding]:
    """Suspects as findings."""
    return [replace(finding_of(views, suspect), confidence=sure) for sure, suspect in ranked]
