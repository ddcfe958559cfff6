"""What a policy would do with documents that were read before. Nothing is read anew or changed.

Each document is taken as it was read: its clauses with their confidence, the warnings of the
search, and how its pages were read. What is promised for it is asked again, by the same code that
routes new documents. What a person decided about a clause since says whether it was right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.extraction.domain import FoundClause, Pass, routed
from services.extraction.pipeline import Clause, Search
from services.extraction.questions import Doubt, doubts, worth_asking
from services.extraction.routing import (
    StatedRisk,
    believed,
    calibration,
    routes,
    stated_risk,
)
from services.extraction.store import Extractions
from shared.asking import AskRules
from shared.documents import Reading
from shared.events import Route
from shared.inference import Specialist
from shared.policy import RiskRules
from shared.storage import Store
from shared.watch.local import SHIPPED, Local

CHANGED = ("reject", "correct")
"""Verdicts that say that a clause was not right."""

NOTHING = 1e-15
"""A probability that is left out."""

Readings = Callable[[str], Reading | None]
"""Gives the reading of a document by its id; None where it is gone."""
Specialists = Callable[[str], Specialist | None]
"""Gives what is installed under a name; None where nothing is."""
Locals = Callable[[str, str], Local]
"""Gives what holds for a specialist, by its name and version, in one tenant alone."""


@dataclass(frozen=True)
class Past:
    """One document as it was read, with the clauses of all specialists that read it."""

    passes: Sequence[Pass]
    clauses: Sequence[FoundClause]
    reading: Reading | None


@dataclass
class Tally:
    """What a policy does with all documents."""

    clauses: int = 0
    accepted: int = 0
    sampled: int = 0
    """Sure enough to be accepted, and sent to a person as a check of that."""
    reviewed: int = 0
    """All that a person is asked about, those that are checked among them."""
    words_reviewed: int = 0
    escalated: int = 0
    """Questions that a frontier model is asked, if the budget has the money; a person looks at what
    it was asked about as well."""
    usd: float = 0.0
    """What they are expected to cost."""
    doubts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """How likely each accepted one is wrong, by the calibration set of its specialist and by
    category."""
    decided: int = 0
    """Accepted ones that a person has decided about."""
    changed: int = 0
    """Of these, rejected or corrected: what the machine would have accepted wrongly."""
    why_not: Counter[str] = field(default_factory=Counter)
    """Clauses that a person is asked about because nothing can be promised, by the reason."""

    def add(self, clause: FoundClause, belief: float, verdict: str | None) -> None:
        """Count a clause with its route, how likely it is right, and what a person decided."""
        self.clauses += 1
        if clause.route != "accept":
            self.reviewed += 1
            self.sampled += clause.sampled
            self.words_reviewed += len(clause.text.split())
            return
        self.accepted += 1
        self.doubts[clause.category].append(1.0 - belief)
        self.decided += verdict is not None
        self.changed += verdict in CHANGED

    @property
    def expected_errors(self) -> float:
        """How many of the accepted are wrong, on average."""
        return sum(map(sum, self.doubts.values()))

    def errors_by_category(self) -> dict[str, tuple[float, int]]:
        """Errors expected in each category and how many of it are accepted, most errors first."""
        found = {name: (sum(mine), len(mine)) for name, mine in self.doubts.items()}
        return dict(sorted(found.items(), key=lambda one: (-one[1][0], one[0])))

    def errors_within(self, level: float = 0.95) -> tuple[int, int]:
        """Between which numbers the errors lie with that probability.

        These are the quantiles of the sum of independent trials, one for each accepted clause (the
        Poisson binomial distribution, computed exactly). That the beliefs themselves may be off,
        and that errors in one document go together, widens it and is not in it.
        """
        chance = np.ones(1)
        for doubt in (one for mine in self.doubts.values() for one in mine):
            chance = np.convolve(chance, (1.0 - doubt, doubt))
            chance = chance[: int(np.flatnonzero(chance > NOTHING)[-1]) + 1]
        below = np.cumsum(chance) / chance.sum()
        tail = (1.0 - level) / 2
        low, high = np.searchsorted(below, (tail, 1.0 - tail))
        return int(low), int(high)


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
) -> list[Tally]:
    """Count what each of some policies would do with documents.

    Args:
        documents: as they were read; they are gone through once.
        policies: of their tenant: what may be accepted, and whom it may ask.
        specialist: what is installed.
        verdicts: of people about clauses, by the clause's id.
        key: the secret by which checks are drawn.
        local: what holds for a version of a specialist in this tenant alone.
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
                routed_now = list(routed_again(clauses, one.reading, stated, rules, key))
                for clause in routed_now:
                    tally.add(clause, _belief(expert, here, clause), verdicts.get(clause.id))
                asked = _asked(routed_now, passed, expert, here, rules, asks)
                tally.escalated += len(asked)
                tally.usd += sum(doubt.usd for doubt in asked)
    return tallies


def _asked(
    clauses: Sequence[FoundClause],
    passed: Pass,
    expert: Specialist | None,
    local: Local,
    rules: RiskRules,
    asks: AskRules,
) -> list[Doubt]:
    """What would be asked about; nothing where it is not known any more how sure the reader was."""
    looked = passed.searched
    if expert is None or looked is None or expert.manifest.version != passed.version:
        return []
    unsure = doubts(clauses, looked, believed(expert, local), ("", "", passed.adapter))
    return worth_asking(unsure, asks, rules, looked.characters)


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
    warnings = passed.searched.warnings if passed.searched else ()
    return stated_risk(expert, Search([], [], warnings), rules, local)


def routed_again(
    clauses: Sequence[FoundClause],
    reading: Reading | None,
    stated: StatedRisk | None,
    rules: RiskRules,
    key: bytes,
) -> Iterator[FoundClause]:
    """Clauses with the route that they would have."""
    plain = [Clause(c.category, c.text, c.start, c.end, c.confidence) for c in clauses]
    ways: Sequence[Route] = ["review"] * len(clauses)
    if reading is not None:
        ways = routes(plain, reading, stated)
    return routed(clauses, ways, rules.sample_share, key)


def _belief(expert: Specialist | None, local: Local, clause: FoundClause) -> float:
    """How likely a clause is right, as its specialist's calibration set says."""
    data = local.data or (expert.guarantee if expert else None)
    if data is None:
        return 0.0
    return calibration(data).belief_of(clause.category, clause.confidence)
