"""What extraction knows of a document: where its work stands, and the clauses it found."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from services.extraction.pipeline import Clause, Search
from services.extraction.routing import StatedMissed, StatedRisk, is_sampled
from services.extraction.values import value_json
from shared.documents import Reading
from shared.documents.reading import Box
from shared.errors import DocumentTooLarge
from shared.events import CANCELLED, BlobRef, Kind, Route

State = Literal["waiting", "extracted", "failed", "withdrawn", "deleted"]

CATEGORIES = (
    "Document Name", "Parties", "Agreement Date", "Effective Date", "Expiration Date",
    "Renewal Term", "Notice Period To Terminate Renewal", "Governing Law", "Most Favored Nation",
    "Non-Compete", "Exclusivity", "No-Solicit Of Customers", "Competitive Restriction Exception",
    "No-Solicit Of Employees", "Non-Disparagement", "Termination For Convenience",
    "Rofr/Rofo/Rofn", "Change Of Control", "Anti-Assignment", "Revenue/Profit Sharing",
    "Price Restrictions", "Minimum Commitment", "Volume Restriction", "Ip Ownership Assignment",
    "Joint Ip Ownership", "License Grant", "Non-Transferable License",
    "Affiliate License-Licensor", "Affiliate License-Licensee",
    "Unlimited/All-You-Can-Eat-License", "Irrevocable Or Perpetual License",
    "Source Code Escrow", "Post-Termination Services", "Audit Rights", "Uncapped Liability",
    "Cap On Liability", "Liquidated Damages", "Warranty Duration", "Insurance",
    "Covenant Not To Sue", "Third Party Beneficiary",
)  # fmt: skip
"""The 41 categories of CUAD v1 (The Atticus Project, CC BY 4.0), verbatim."""


@dataclass(frozen=True)
class Nearest:
    """The passage that comes nearest to a clause of a category, however unsure."""

    text: str
    start: int
    end: int
    page: int
    confidence: float


@dataclass(frozen=True)
class Looked:
    """What a search says of one category."""

    category: str
    probability: float
    nearest: Nearest | None


@dataclass(frozen=True)
class Searched:
    """Where was looked: the evidence for what is absent."""

    characters: int
    pages: int
    failed_pages: tuple[int, ...]
    categories: tuple[Looked, ...]
    warnings: tuple[str, ...] = ()  # why not to rely on it
    kind_unsure: bool = False  # whether it may be no contract

    def to_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return asdict(self)

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Searched:
        """Read what was kept."""
        categories = tuple(
            Looked(
                line["category"],
                line["probability"],
                Nearest(**line["nearest"]) if line["nearest"] else None,
            )
            for line in kept["categories"]
        )
        failed, warnings = tuple(kept["failed_pages"]), tuple(kept.get("warnings", ()))
        unsure = kept.get("kind_unsure", False)
        return cls(kept["characters"], kept["pages"], failed, categories, warnings, unsure)


@dataclass(frozen=True)
class Pass:
    """One specialist has read the document."""

    adapter: str
    version: str
    searched: Searched | None
    """What was searched and what came of it; none for what was extracted before this was kept."""
    risk: StatedRisk | None = None
    """What was promised for its clauses; None where no risk was stated."""
    missed: StatedMissed | None = None
    """What was promised of the clauses that it does not show; None where no share was stated."""

    def to_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return asdict(self)

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Pass:
        """Read what was kept."""
        looked = Searched.of_json(kept["searched"]) if kept["searched"] else None
        stated = kept.get("risk")
        risk = StatedRisk.of_json(stated) if stated else None
        missed = kept.get("missed")
        return cls(
            kept["adapter"],
            kept["version"],
            looked,
            risk,
            StatedMissed(**missed) if missed else None,
        )


@dataclass(frozen=True)
class Extraction:
    """Where the work on one document of one tenant stands. A deleted one is remembered by its id
    alone.
    """

    tenant: str
    document_id: str
    kind: Kind
    attempt: int
    state: State = "waiting"
    code: str | None = None
    reason: str | None = None
    blobs: tuple[BlobRef, ...] = ()
    """Everything that was stored for it, to be removed with the document."""
    own: frozenset[str] = frozenset()
    """Hashes of those that no other document can have, for they name a result of it; without what
    older programs stored."""
    passes: tuple[Pass, ...] = ()
    """One for each specialist that has read it, in the order they were named."""

    def noting(self, refs: Collection[BlobRef]) -> Extraction:
        """With more blobs of its own."""
        own = self.own | {ref.sha256 for ref in refs}
        return replace(self, blobs=tuple({*self.blobs, *refs}), own=own)

    @property
    def is_early(self) -> bool:
        """Whether its clauses are those of its first pages, while the others are still read."""
        return self.state == "waiting" and bool(self.passes)

    def looked_at(self, passes: Sequence[Pass]) -> Extraction:
        """The first pages were searched."""
        return replace(self, passes=tuple(passes))

    def failed(self, code: str, reason: str) -> Extraction:
        """The document was given up, by us or by somebody before us."""
        return replace(self, state="failed", code=code, reason=reason)

    def awaits(self, attempt: int) -> bool:
        """Whether news of an attempt still counts: not after a deletion, a withdrawal, a
        cancellation or a newer attempt.
        """
        if self.state == "deleted" or attempt < self.attempt:
            return False
        cancelled = self.state == "failed" and self.code == CANCELLED
        return attempt > self.attempt or not (cancelled or self.state == "withdrawn")


def refuse_too_long(text: str, most: int) -> None:
    """Raise DocumentTooLarge for a text that would take a specialist hours."""
    if len(text) > most:
        raise DocumentTooLarge(
            f"the text has {len(text):,} characters: clauses are found in at most {most:,} "
            "(setting SMALLPRINT_EXTRACTION_MAX_CHARACTERS)"
        )


@dataclass(frozen=True)
class FoundClause:
    """A clause with its evidence: exact text, offsets in code points, page, and boxes in points."""

    id: str
    adapter: str
    category: str
    text: str
    start: int
    end: int
    page: int
    confidence: float
    boxes: tuple[Box, ...] = field(default=())
    route: Route = "review"
    sampled: bool = False
    """Whether it would have been accepted, and goes to a person as a check. Nobody is told."""

    @property
    def value(self) -> dict[str, Any] | None:
        """Its normalised value, which follows from its words alone and is kept nowhere."""
        return value_json(self.category, self.text, self.start)

    def to_json(self) -> dict[str, Any]:
        """The clause as REST and events have it."""
        shown = {**self.to_row(), "value": self.value}
        del shown["sampled"]
        return shown

    def to_row(self) -> dict[str, Any]:
        """What is kept of the clause."""
        return {
            "id": self.id,
            "adapter": self.adapter,
            "category": self.category,
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "page": self.page,
            "confidence": self.confidence,
            "boxes": [box._asdict() for box in self.boxes],
            "route": self.route,
            "sampled": self.sampled,
        }


LONGEST = 500
"""Characters that are kept of a passage that only comes near."""


@dataclass(frozen=True)
class Presence:
    """Whether a contract has a category: how likely, by which clauses, and what comes nearest."""

    category: str
    present: bool  # more likely than not
    probability: float
    confidence: float | None  # of the surest clause
    clauses: int
    nearest: Nearest | None


def with_evidence(
    clauses: Iterable[Clause], reading: Reading, tenant: str, document_id: str, adapter: str
) -> list[FoundClause]:
    """Give each clause of a specialist its id, page and boxes. A person looks at all of them."""
    return [
        FoundClause(
            id=clause_id(tenant, document_id, adapter, clause),
            adapter=adapter,
            category=clause.category,
            text=clause.text,
            start=clause.start,
            end=clause.end,
            page=reading.page_at(clause.start),
            confidence=clause.confidence,
            boxes=tuple(reading.boxes_of(clause.start, clause.end)),
        )
        for clause in clauses
    ]


def routed(
    clauses: Sequence[FoundClause], routes: Sequence[Route], sample_share: float, key: bytes
) -> Iterator[FoundClause]:
    """Say what is done with each clause; a share of those that could be accepted is checked, drawn
    with a secret key.
    """
    for clause, route in zip(clauses, routes, strict=True):
        sampled = route == "accept" and is_sampled(clause.id, sample_share, key)
        yield replace(clause, route="review" if sampled else route, sampled=sampled)


def in_order(clauses: Iterable[FoundClause]) -> list[FoundClause]:
    """The clauses of several specialists in the order of the text."""
    return sorted(clauses, key=lambda c: (c.start, c.end, c.category, c.adapter))


def clause_id(tenant: str, document_id: str, adapter: str, clause: Clause) -> str:
    """The same clause of the same document by the same specialist always has the same id, so that
    work done twice is done once.
    """
    parts = (tenant, document_id, adapter, clause.category, str(clause.start), str(clause.end))
    return "cl_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def searched(found: Search, reading: Reading) -> Searched:
    """Say what was searched, and for every category what came of it."""
    lines = []
    for line in found.presence:
        nearest = None
        if clause := line.nearest:
            end = min(clause.end, clause.start + LONGEST)
            text, page = reading.text[clause.start : end], reading.page_at(clause.start)
            nearest = Nearest(text, clause.start, end, page, clause.confidence)
        lines.append(Looked(line.category, line.probability, nearest))
    failed = tuple(page.number for page in reading.failed)
    return Searched(len(reading.text), reading.page_count, failed, tuple(lines), found.warnings)


def presence(found: Sequence[tuple[str, float]], looked: Searched | None = None) -> list[Presence]:
    """One line for every category of a specialist, from (category, confidence) of its clauses and
    its search; what was extracted before searches were kept was looked for the 41.
    """
    known = {line.category: line for line in looked.categories} if looked else {}
    by_category: dict[str, list[float]] = {category: [] for category in known or CATEGORIES}
    for category, confidence in found:
        by_category.setdefault(category, []).append(confidence)
    lines = []
    for category, scores in by_category.items():
        best, line = max(scores, default=None), known.get(category)
        chance = line.probability if line else best or 0.0
        present = chance > 0.5 if line else bool(scores)
        nearest = line.nearest if line else None
        lines.append(Presence(category, present, chance, best, len(scores), nearest))
    return lines


def searched_by_all(passes: Sequence[Pass]) -> Searched | None:
    """Where was looked, by all of some specialists together; None if it was not kept of one."""
    looked = [one.searched for one in passes if one.searched]
    if not looked or len(looked) < len(passes):
        return None
    warnings = dict.fromkeys(warning for one in looked for warning in one.warnings)
    categories = tuple(line for one in looked for line in one.categories)
    return replace(looked[0], categories=categories, warnings=tuple(warnings))
