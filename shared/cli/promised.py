"""The tables of findings, and below all of them what was promised of those without a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.cli import tables
from shared.cli.lines import plain


class PromisedFindings:
    """Counts the findings of a run as it shows them.

    Args:
        risk: what is promised of filings like those known, as lines have it in `risks`; None where
            no risk is stated.
    """

    def __init__(self, risk: Mapping[str, Any] | None) -> None:
        self.risk = risk
        self.found = self.accepted = 0

    def table(self, line: Mapping[str, Any]) -> Iterator[str]:
        """The lines for a person about one result; why nothing is accepted only where that is said
        of this filing alone.
        """
        self._count(line)
        yield from tables.findings(line, self.risk["why_not"] if self.risk else "")

    def said(self) -> Iterator[str]:
        """What was accepted of all, and what that promises; nothing where nothing was found."""
        risk = self.risk
        if risk is None or not self.found:
            return
        if risk["why_not"]:
            yield f"nothing is accepted, {plain(risk['why_not'])}"
            return
        yield (
            f"{self.accepted:,} of {self.found:,} findings accepted, from {risk['threshold']:g} "
            f"on; of what is accepted at most {risk['max_wrong']:g} is wrong, with "
            f"{risk['level']:.0%} confidence (from {risk['companies']:,} companies), where "
            f"{risk['broken']:.1%} of the filings have an error"
        )

    def _count(self, line: Mapping[str, Any]) -> None:
        for inner in (*line.get("parts", ()), *line.get("filings", ())):
            self._count(inner)
        routes = [finding.get("route") for finding in line.get("findings", ())]
        self.found += len(routes)
        self.accepted += routes.count("accept")
