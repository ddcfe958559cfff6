"""The table that a run prints, and its closing line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.evidence import Check
from tests.chaos.plan import SERVERS

SHOWN = 3
"""Broken cases shown for each guarantee."""
MANY = 100
"""Runs with so many documents must end half of them during the kills. Smaller ones need not."""


@dataclass
class Report:
    """The result of a run."""

    seed: int
    broken: str
    wanted_kills: int
    documents: int
    """Accepted documents; `wanted` were to be sent."""
    wanted: int
    ended_meanwhile: int
    """Documents that ended before the last kill was over."""
    made: Counter[str]
    """How often each trouble was made."""
    doubled: int
    emptied: int
    refused: Counter[str]
    """Number of log lines of each server about a full disk."""
    answers: Counter[str]
    checks: list[Check]
    money: str
    """Questions to the frontier model and their cost, in words."""
    seconds: float

    @property
    def kills(self) -> int:
        """Number of kills."""
        return sum(times for what, times in self.made.items() if what.startswith("kill"))

    @property
    def good(self) -> bool:
        """Whether every guarantee was checked and holds, and all planned trouble happened.

        In longer runs half of the documents have to end meanwhile, and each server with a full disk
        has to report it.
        """
        hold = all(one.checked and not one.wrong for one in self.checks)
        done = self.documents == self.wanted and self.kills == self.wanted_kills
        at_work = self.wanted < MANY or 2 * self.ended_meanwhile >= self.wanted
        filled = [server for server in SERVERS if self.made[f"full {server}"]]
        met = self.wanted < MANY or all(self.refused[server] for server in filled)
        return hold and done and at_work and met and self.doubled > 0

    def table(self) -> Iterator[str]:
        """Lines for a person."""
        for what, times in sorted(self.made.items()):
            yield f"{times:>7}  {what}"
        yield f"{self.doubled:>7}  events delivered twice"
        yield f"{self.emptied:>7}  files without a sync, emptied or removed by a power failure"
        for server, lines in sorted(self.refused.items()):
            yield f"{lines:>7}  lines of {server} about a full disk"
        yield f"{self.ended_meanwhile:>7}  documents ended before the last kill"
        answers = ", ".join(f"{times} {what}" for what, times in self.answers.most_common(8))
        yield f"answers to clients: {answers}"
        yield self.money
        yield f"{'checked':>9}  {'wrong':>5}  guarantee"
        for one in self.checks:
            yield f"{one.checked:>9}  {len(one.wrong):>5}  {one.guarantee}"
            for wrong in one.wrong[:SHOWN]:
                yield f"{'':>18}{wrong}"
        yield self.last_line()

    def last_line(self) -> str:
        """The verdict in one line."""
        wrong = sum(len(one.wrong) for one in self.checks)
        unchecked = sum(not one.checked for one in self.checks)
        without = f", without {self.broken}" if self.broken else ""
        return (
            f"{'GOOD' if self.good else 'BAD'}: seed {self.seed}{without}, {self.kills} of"
            f" {self.wanted_kills} kills, {sum(self.made.values()) - self.kills} other troubles,"
            f" {self.documents} of {self.wanted} documents accepted, {wrong} violations,"
            f" {unchecked} guarantees not checked, {self.seconds:.0f} s"
        )
