"""Composes a report from the results and decisions of a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from services.review.domain import Basis, Document
from services.review.error_rates import ErrorRate
from services.review.exports import Result
from services.review.report.contract import contract_sections
from services.review.report.financial import financial_sections
from services.review.report.report import Report, Section
from services.review.report.title import title_of_report
from services.review.report.wording import (
    capital,
    counted,
    flowing,
    listed,
    pages,
    percent,
    sentence,
)
from shared.events.searched import SearchedContract
from shared.policy.rules import RiskRules

_OWNER = "owner"
"""The name of the first key of an installation, which tells no person."""


def compose(
    document: Document,
    results: Sequence[Result],
    *,
    day: date,
    rules: RiskRules,
    rates: Sequence[ErrorRate],
    searched: SearchedContract | None,
    unread: Sequence[int],
    whole: bool,
) -> Report:
    """Compose the report of a contract or a financial report.

    Args:
        results: all results of the document.
        day: the date of the report.
        rules: the risk rules of the tenant.
        rates: the error rates of the specialists in the audit sample.
        searched: the search in a contract, if it is known.
        unread: pages that could not be read.
        whole: whether the reader may see results that the model accepted without a person.
    """
    visible = [one for one in results if whole or _is_for_people(one)]
    asked = [one for one in visible if _is_for_people(one)]
    done = sum(one.item.verdict is not None for one in asked)
    contract = document.kind == "contract"
    sections = (
        contract_sections(results, visible, searched, unread, whole=whole)
        if contract
        else financial_sections(visible)
    )
    how = _how(document, visible, asked, rules, rates, unread, whole=whole)
    basis = document.basis or Basis()
    people = sorted({_person(one.item.decided_by) for one in visible if one.item.decided_by})
    file = flowing(document.name)
    read = document.page_count - len(unread)
    facts = {
        "Document": file,
        "Reviewed by": flowing(listed(people)),
        "Date": day.isoformat(),
        "Pages read": f"{read:,} of {document.page_count:,}" if document.page_count else "",
        "Decided": f"{done} of {len(asked)}" if asked else "",
    }
    models = listed(basis.models)
    title, _, subtitle = title_of_report(document, visible).partition(" · ")
    return Report(
        kind="Contract summary" if contract else "Report summary",
        title=title,
        subtitle=subtitle,
        draft=f"Draft, {done} of {len(asked)} decided" if done < len(asked) else "",
        facts=tuple((name, value) for name, value in facts.items() if value),
        sections=(*sections, Section("How this was made", tuple(how))),
        about=f"Document: {file}"
        + (f", SHA-256 {document.sha256}" if document.sha256 else "")
        + (f". Model: {models}." if models else "."),
    )


def _person(name: str) -> str:
    return "a person with the owner's key (name unknown)" if name == _OWNER else name


def _is_for_people(one: Result) -> bool:
    """Whether a person decides or decided about it."""
    return one.item.route != "accept" or one.item.verdict is not None


def _how(
    document: Document,
    visible: Sequence[Result],
    asked: Sequence[Result],
    rules: RiskRules,
    rates: Sequence[ErrorRate],
    unread: Sequence[int],
    *,
    whole: bool,
) -> Iterable[str]:
    """Name the checks, their limits and their error rates."""
    contract = document.kind == "contract"
    basis = document.basis or Basis()
    noun = "clause" if contract else "finding"
    models = listed(basis.models) or "A model"
    yield (
        f"{models} found the {noun}s. Reviewers accept, correct or reject them, and add what it "
        "missed. Quotes are the exact words of the document."
        if contract
        else f"{models} checked the figures. Reviewers accept a finding that is an error, and "
        "reject a false alarm."
    )
    if basis.coverage:
        yield sentence(basis.coverage)
    if unread and not contract:
        yield f"{capital(pages(unread))} could not be read."
    misread = [
        one.item.page
        for one in visible
        if one.item.is_of_reading and not one.item.asks_kind and one.item.verdict != "reject"
    ]
    if text := pages(page for page in misread if page):
        yield f"The text of {text} may be misread."
    yield from map(sentence, basis.warnings)
    open_ = sum(one.item.verdict is None for one in asked)
    rejected = sum(one.item.verdict == "reject" for one in asked)
    if open_:
        yield f"Not decided yet, and possibly wrong: {counted(open_, 'result')}."
    if rejected:
        yield f"Left out: {counted(rejected, 'rejected result')}."
    yield from _how_sure(document, visible, rules, rates, whole=whole)


def _how_sure(
    document: Document,
    visible: Sequence[Result],
    rules: RiskRules,
    rates: Sequence[ErrorRate],
    *,
    whole: bool,
) -> Iterable[str]:
    if not whole:
        yield (
            "This copy leaves out key terms and results that the model accepted without a person. "
            "Reviewers with more rights can make the full report."
        )
        return
    accepted = sum(not _is_for_people(one) for one in visible)
    if not accepted:
        if visible:
            yield "The model accepted nothing without a person."
        return
    most = rules.max_wrong if document.kind == "contract" else rules.findings.max_wrong
    yield f"The model accepted {counted(accepted, 'result')} without a person."
    if most:
        yield (
            f"Under the present policy at most {percent(most)} of such results may be wrong, at a "
            f"confidence of {percent(rules.level)}."
        )
    names = {model.partition(" ")[0] for model in (document.basis or Basis()).models}
    for rate in rates:
        total = (rate.category, rate.kind, rate.source) == (None, None, None)
        if total and rate.adapter in names:
            low, high = rate.interval
            yield (
                f"Reviewers checked {counted(rate.checked, 'such result')} of {rate.adapter} in "
                f"all documents: {percent(rate.rate)} were wrong (95% interval {percent(low)} to "
                f"{percent(high)})."
            )
