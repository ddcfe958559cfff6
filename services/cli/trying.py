"""Policies tried on what a data folder holds: its contracts, and its reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from services.cli.specialists import installed
from services.cli.stores import stored
from shared.cli.options import given as _given

if TYPE_CHECKING:
    from services.extraction.trying import Past
    from services.triage.past.trying import PastReport
    from shared.asking import AskRules
    from shared.documents import Reading
    from shared.policy import RiskRules
    from shared.settings import CommonSettings
    from shared.storage import Store
    from shared.trial import Tally
    from shared.watch.local import Local

    Policies = Sequence[tuple[RiskRules, AskRules]]


def tried_policies(settings: CommonSettings, tenant: str, policies: Policies) -> dict[str, Any]:
    """What the policy in force and another one do with the documents of a tenant, as `policy try`
    prints it. Raises SettingsError where no suite of this release has worked.
    """
    from services.extraction.settings import Settings as Extraction
    from services.extraction.store import MIGRATIONS as OF_EXTRACTION
    from services.review.handlers import document_reading
    from services.review.settings import Settings as Review
    from services.review.store import MIGRATIONS as OF_REVIEW
    from services.review.store import find_document, verdicts
    from services.triage.settings import Settings as Triage
    from services.triage.store import MIGRATIONS as OF_TRIAGE
    from shared.settings import load
    from shared.storage import MissingBlob, open_blobs

    given = _given(data=settings.data)
    extraction_url = load(Extraction, **given).extraction_database_url
    triage_url = load(Triage, **given).triage_database_url
    review_url = load(Review, **given).review_database_url
    blobs = open_blobs(settings.blobs_url, settings.blobs, "review")
    with (
        stored(settings, "extraction", extraction_url, OF_EXTRACTION) as extraction,
        stored(settings, "triage", triage_url, OF_TRIAGE) as triage,
        stored(settings, "review", review_url, OF_REVIEW) as review,
        review.read() as session,
    ):
        decided = verdicts(session, tenant)

        def reading_of(document_id: str) -> Reading | None:
            document = find_document(session, tenant, document_id)
            try:
                return document_reading(document, blobs) if document else None
            except MissingBlob:
                return None

        return {
            **_contracts(settings, extraction, tenant, policies, decided, reading_of),
            "reports": _reports(settings, triage, tenant, policies, decided),
        }


def _unsure(settings: CommonSettings, tenant: str) -> frozenset[str]:
    """Ids of documents of which a person is still to say the kind; none where no ingest worked."""
    from services.ingest.settings import Settings
    from services.ingest.store import MIGRATIONS, unsure_kinds
    from shared.settings import load

    url = load(Settings, **_given(data=settings.data)).ingest_database_url
    if not url and not (settings.data / "ingest.db").is_file():
        return frozenset()
    with stored(settings, "ingest", url, MIGRATIONS) as store, store.read() as session:
        return unsure_kinds(session, tenant)


def _contracts(
    settings: CommonSettings,
    store: Store,
    tenant: str,
    policies: Policies,
    decided: Mapping[str, str],
    reading_of: Callable[[str], Reading | None],
) -> dict[str, Any]:
    """The part about contracts; `decided` are verdicts of people by the ids of results."""
    from services.extraction.trying import past, tried
    from services.extraction.watch.store import Watches
    from shared.storage.secret import draw_key

    count = {"documents": 0}

    def counted(found: Iterator[Past]) -> Iterator[Past]:
        for one in found:
            count["documents"] += 1
            yield one

    with store.read() as session:
        found = counted(past(store, tenant, reading_of))
        key, watches = draw_key(session), Watches(session, tenant)
        kept = watches.decisions()
        tallies = tried(found, policies, installed(settings), decided, key, watches.local, kept)
    shown = [
        {
            "max_wrong": rules.max_wrong,
            "level": rules.level,
            "trust": rules.trust,
            **_tally(tally),
        }
        for (rules, _), tally in zip(policies, tallies, strict=True)
    ]
    results = {"clauses": tallies[0].results, "decided": tallies[0].results_decided}
    return {**count, **results, "now": shown[0], "tried": shown[1]}


def _reports(
    settings: CommonSettings,
    store: Store,
    tenant: str,
    policies: Policies,
    decided: Mapping[str, str],
) -> dict[str, Any]:
    """The part about reports; `untried` are those of which it is not known what routes hang on."""
    from services.triage.guarantee import promised
    from services.triage.past.trying import past, tried
    from services.triage.risk import Judge, model_of
    from services.triage.watch.store import Watches
    from shared.storage import open_blobs
    from shared.storage.secret import draw_key

    count = {"documents": 0, "untried": 0}

    def known(found: Iterator[PastReport | None]) -> Iterator[PastReport]:
        for one in found:
            count["documents"] += 1
            if one is None:
                count["untried"] += 1
            else:
                yield one

    blobs = open_blobs(settings.blobs_url, settings.blobs, "triage")
    judge = Judge.found(settings.artefacts_folder)
    model = model_of(judge)
    with store.read() as session:
        key = draw_key(session)
        watches = Watches(session, tenant)
        local, kept = watches.local(model.name, model.version), watches.decisions()
    found = known(past(store, blobs, tenant, _unsure(settings, tenant)))
    tallies = tried(found, policies, judge, decided, key, local, kept)
    came = judge.guarantee if judge else None
    made = [promised(came, rules.findings, rules.level, local) for rules, _ in policies]
    shown = [
        {
            "max_wrong": rules.findings.max_wrong,
            **_rests_on(rules, local),
            "level": rules.level,
            "threshold": promise.threshold if promise else None,
            **_tally(tally, _title),
        }
        for (rules, _), promise, tally in zip(policies, made, tallies, strict=True)
    ]
    results = {"findings": tallies[0].results, "decided": tallies[0].results_decided}
    return {**count, **results, "now": shown[0], "tried": shown[1]}


def _rests_on(rules: RiskRules, local: Local) -> dict[str, Any]:
    """What is promised of findings rests on the share of broken reports that is stated, or on what
    people decided here: then by the number of the calibration, and no share counts.
    """
    return {"calibration": local.number} if local.data else {"broken": rules.findings.broken}


def _title(check: str) -> str:
    """What people call a check."""
    from services.triage.pages import page_of

    page = page_of(check)
    return page.title if page else check


def _tally(tally: Tally, title: Callable[[str], str] | None = None) -> dict[str, Any]:
    """What a policy does; `title` says what people call a category."""
    from services.review.priority import SECONDS, WORDS_A_MINUTE

    seconds = tally.reviewed * SECONDS + tally.words_reviewed / WORDS_A_MINUTE * 60
    return {
        "accepted": tally.accepted,
        "escalated": tally.escalated,
        "reviewed": tally.reviewed,
        "sampled": tally.sampled,
        "review_hours": seconds / 3600,
        "cost_usd": tally.usd,
        **_errors(tally),
        "expected_errors_by_category": {
            category: {
                "expected_errors": errors,
                "accepted": accepted,
                **({"title": title(category)} if title else {}),
            }
            for category, (errors, accepted) in tally.errors_by_category().items()
        },
        "accepted_and_decided": tally.decided,
        "changed": tally.changed,
        "tightened": list(tally.tightened),
        "why_not": dict(tally.why_not),
    }


def _errors(tally: Tally) -> dict[str, Any]:
    """How many of the accepted are expected to be wrong: by what people decided here, where they
    did, or by the calibration set, whichever is more; and what each of the two says.
    """
    by_set: dict[str, Any] = {
        "expected_errors": tally.expected_errors,
        "expected_errors_interval": tally.errors_within(),
    }
    seen = tally.seen()
    by_people: dict[str, Any] | None = None
    if seen is not None:
        errors, within = tally.errors_seen(seen)
        by_people = {
            "expected_errors": errors,
            "expected_errors_interval": within,
            "share": seen.share,
            "decided": seen.decided,
            "wrong": seen.wrong,
        }
    worse = bool(by_people and by_people["expected_errors"] > by_set["expected_errors"])
    first = by_people if by_people and worse else by_set
    return {
        **{name: first[name] for name in by_set},
        "expected_errors_by": "decisions" if worse else "calibration",
        "by_calibration": by_set,
        "by_decisions": by_people,
    }
