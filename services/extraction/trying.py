"""What a policy would do with documents that were read before. Nothing is read anew or changed.

Each document is taken as it was read: its clauses with their confidence, the warnings of the
search, and how its pages were read. What is promised for it is asked again, by the same code that
routes new documents. What a person decided about a clause since says whether it was right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.extraction.domain import FoundClause, Pass, routed
from services.extraction.pipeline import Clause, Search, usually_above
from services.extraction.questions import Doubt, doubts, for_people, worth_asking
from services.extraction.routing import (
    StatedRisk,
    believed,
    calibration,
    routes,
    stated_risk,
)
from services.extraction.store import Extractions
from shared.asking import AskRules, others_than
from shared.documents import Reading
from shared.events import Route
from shared.inference import Specialist
from shared.policy import RiskRules
from shared.storage import Store
from shared.storage.watches import Drawn
from shared.trial import Tally
from shared.watch.local import SHIPPED, Local
from shared.watch.watching import share_of

Readings = Callable[[str], Reading | None]
"""Gives the reading of a document by its id; None where it is gone."""
Specialists = Callable[[str], Specialist | None]
"""Gives what is installed under a name; None where nothing is."""
Locals = Callable[[str, str], Local]
"""Gives what holds for a specialist, by its name and version, in one tenant alone."""
NOTHING: Mapping[str, Drawn] = {}
"""Nobody has decided anything."""


@dataclass(frozen=True)
class Past:
    """One document as it was read, with the clauses of all specialists that read it."""

    passes: Sequence[Pass]
    clauses: Sequence[FoundClause]
    reading: Reading | None


def past(store: Store, tenant: str, reading_of: Readings) -> Iterator[Past]:
    """Yield every document of a tenant whose clauses are stored, as it was read."""
    with store.read() as session:
        found = Extractions(session, tenant)
        for document in found.extracted():
            if extraction := found.get(document):
                passes, clauses = extraction.passes, found.all_clauses(document)
                yield Past(passes, clauses, reading_of(document))


def tried(
    documents: Iterable[Past],
    policies: Sequence[tuple[RiskRules, AskRules]],
    specialist: Specialists,
    verdicts: Mapping[str, str],
    key: bytes,
    local: Locals = lambda _name, _version: SHIPPED,
    decisions: Mapping[str, Drawn] = NOTHING,
) -> list[Tally]:
    """Count what each of some policies would do with documents.

    Args:
        documents: as they were read; they are gone through once.
        policies: of their tenant: what may be accepted, and whom it may ask.
        specialist: what is installed.
        verdicts: of people about clauses, by the clause's id.
        key: the secret by which checks are drawn.
        local: what holds for a version of a specialist in this tenant alone.
        decisions: what is kept of those of people to watch promises, by the clause's id.
    """
    tallies = [Tally() for _ in policies]
    for one in documents:
        for passed in one.passes:
            clauses = [clause for clause in one.clauses if clause.adapter == passed.adapter]
            expert = specialist(passed.adapter)
            here = local(passed.adapter, passed.version)
            for (rules, asks), tally in zip(policies, tallies, strict=True):
                stated = promised(passed, expert, one.reading, rules, here)
                if stated and stated.why_not and clauses:
                    tally.why_not[stated.why_not] += len(clauses)
                for said in stated.tightened if stated else ():
                    tally.tightened[f"{passed.adapter}: {said}"] = None
                share = share_of(rules.sample_share, here)
                routed_now = list(routed_again(clauses, one.reading, stated, share, key))
                for clause in routed_now:
                    known = decisions.get(clause.id)
                    tally.add(
                        clause.category,
                        clause.text,
                        clause.route,
                        clause.sampled,
                        _belief(expert, here, clause),
                        verdicts.get(clause.id),
                        known.decided if known else None,
                    )
                asked = _asked(routed_now, one.reading, passed, expert, here, rules, asks)
                tally.escalated += len(asked)
                tally.usd += sum(doubt.usd for doubt in asked)
    return tallies


def _asked(
    clauses: Sequence[FoundClause],
    reading: Reading | None,
    passed: Pass,
    expert: Specialist | None,
    local: Local,
    rules: RiskRules,
    asks: AskRules,
) -> list[Doubt]:
    """What would be asked about; nothing where it is not known any more how sure the reader was, or
    how the pages were read where a model's word may accept what it is asked about.
    """
    looked = passed.searched
    if expert is None or looked is None or expert.manifest.version != passed.version:
        return []
    unsure = doubts(clauses, looked, believed(expert, local), ("", "", passed.adapter))
    if rules.trust == "measured":
        if reading is None or looked.kind_unsure:
            return []
        usual = usually_above(expert)
        unsure = [one for one in unsure if not for_people(one, reading, local, usual)]
    others = others_than("contract", looked.kind_unsure)
    return worth_asking(unsure, asks, rules, looked.characters, others)


def promised(
    passed: Pass,
    expert: Specialist | None,
    reading: Reading | None,
    rules: RiskRules,
    local: Local = SHIPPED,
) -> StatedRisk | None:
    """What can be promised for what a specialist found in a document of the past."""
    if rules.max_wrong is None:
        return None
    why, name = "", f"{passed.adapter} {passed.version}"
    if expert is None:
        why = f"{name} read it, which is not installed any more"
    elif expert.manifest.version != passed.version:
        why = f"{name} read it, and {expert.manifest.version} is installed: have it read again"
    elif reading is None:
        why = "how its pages were read is not known any more"
    if expert is None or why:
        return StatedRisk(rules.max_wrong, rules.level, why_not=f"not guaranteed: {why}")
    looked = passed.searched
    warnings, kind_unsure = (looked.warnings, looked.kind_unsure) if looked else ((), False)
    return stated_risk(expert, Search([], [], warnings), rules, local, kind_unsure)


def routed_again(
    clauses: Sequence[FoundClause],
    reading: Reading | None,
    stated: StatedRisk | None,
    share: float,
    key: bytes,
) -> Iterator[FoundClause]:
    """Clauses with the route that they would have.

    Args:
        clauses: of one specialist in one document.
        reading: of the document; None where it is gone.
        stated: what is promised for it.
        share: of what could be accepted that goes to a person.
        key: the secret by which those are drawn.
    """
    plain = [Clause(c.category, c.text, c.start, c.end, c.confidence) for c in clauses]
    ways: Sequence[Route] = ["review"] * len(clauses)
    if reading is not None:
        ways = routes(plain, reading, stated)
    return routed(clauses, ways, share, key)


def _belief(expert: Specialist | None, local: Local, clause: FoundClause) -> float:
    """How likely a clause is right, as its specialist's calibration set says."""
    data = local.data or (expert.guarantee if expert else None)
    if data is None:
        return 0.0
    return calibration(data).belief_of(clause.category, clause.confidence)
