"""The table of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from infra.rolling.checker import Counted
from infra.rolling.edition import Replaced
from infra.rolling.people import LOOKS, Answer, Told, Who

SHOWN = 5
"""Of what is wrong, so much is shown."""
WHO: dict[Who, str] = {
    "once": "a client without retries",
    "looking": "who looks whether each service answers, without retries",
    "client": "the product's client, each try",
    "seen": "the product's client, what its caller sees",
}


@dataclass
class Report:
    """What a run gave; times by the monotonic clock."""

    seed: int
    release: str
    before: dict[str, str]
    after: dict[str, str]
    """Revisions of the databases, by service."""
    begun: float
    migrated: float
    upgraded: float
    replaced: list[Replaced]
    died: list[str]
    told: Told
    counted: Counted
    upload_ended: bool
    seconds: float

    @property
    def good(self) -> bool:
        """Whether nothing is lost or was done twice, and all of it was replaced calmly."""
        calm = not self.died and all(one.by_itself for one in self.replaced)
        kept = not self.counted.lost and not self.counted.twice and self.upload_ended
        return calm and kept and bool(self.replaced) and self.counted.accepted > 0

    def during(self) -> list[Answer]:
        """Requests that were under way at any time of the upgrade."""
        all_of_them = self.told.answers
        return [a for a in all_of_them if a.ended >= self.begun and a.begun <= self.upgraded]

    def table(self) -> Iterator[str]:
        """Lines for a person, as Markdown."""
        yield f"From {self.release}, seed {self.seed}: {self._revisions()}."
        yield (
            f"Migrated in {self.migrated - self.begun:.1f} s while the old processes ran, "
            f"{len(self.replaced)} processes replaced in {self.upgraded - self.migrated:.0f} s: a "
            f"successor was ready after {self._slowest('ready'):.1f} s at the most, an old one had "
            f"ended {self._slowest('ended'):.1f} s after SIGTERM at the most."
        )
        yield ""
        yield "| during the upgrade | requests | errors | which |"
        yield "| --- | --- | --- | --- |"
        for who, name in WHO.items():
            of_them = [one for one in self.during() if one.who == who]
            wrong = [one for one in of_them if not one.good]
            yield f"| {name} | {len(of_them):,} | {len(wrong)} | {_named(wrong)} |"
        yield ""
        yield "| service | longest time without an answer (s) | slowest answer (s) |"
        yield "| --- | --- | --- |"
        for service, path in LOOKS.items():
            gap, slowest = gaps(self.during(), path.partition("?")[0], self.begun, self.upgraded)
            yield f"| {service} | {gap:.1f} | {slowest:.1f} |"
        yield ""
        found = self.counted
        yield "| told | kept | lost | twice |"
        yield "| --- | --- | --- | --- |"
        yield (
            f"| {found.accepted} documents accepted, {found.decided} decisions, {found.results} "
            f"results | {found.complete} documents complete, {found.webhooks} webhooks | "
            f"{len(found.lost)} | {len(found.twice)} |"
        )
        wrong_lines = [*found.lost[:SHOWN], *found.twice[:SHOWN], *self.died[:SHOWN]]
        wrong_lines += [f"{one.name} was killed" for one in self.replaced if not one.by_itself]
        if not self.upload_ended:
            wrong_lines.append("the upload that was begun before did not become a document")
        yield from (f"* {line}" for line in wrong_lines)
        yield f"{'GOOD' if self.good else 'BAD'} after {self.seconds:.0f} s"

    def _revisions(self) -> str:
        moved = [
            f"{name} {old} to {self.after[name]}"
            for name, old in self.before.items()
            if old != self.after[name]
        ]
        return ", ".join(moved) or "no database changed"

    def _slowest(self, what: str) -> float:
        return max((float(getattr(one, what)) for one in self.replaced), default=0.0)


def gaps(answers: Iterable[Answer], path: str, begun: float, ended: float) -> tuple[float, float]:
    """The longest time without a good answer to who looks at a path, between two moments, and the
    slowest good answer: both in seconds.
    """
    good = [a for a in answers if a.who == "looking" and a.good and a.what == f"GET {path}"]
    moments = [begun, *sorted(min(a.ended, ended) for a in good), ended]
    between = (later - earlier for earlier, later in pairwise(moments))
    return max(between), max((a.ended - a.begun for a in good), default=0.0)


def _named(wrong: list[Answer]) -> str:
    counted = Counter(f"{one.said} to {one.what}" for one in wrong)
    return ", ".join(f"{n} {what}" for what, n in counted.most_common(SHOWN)) or "none"
