"""What was measured, as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infra.load.phases import Measured, Phase, percentile

HEAD = """# Capacity

Written by `make load`: {said}.

Locust sends PDFs by REST at shares of the capacity (documents that end a second while eight are on
their way), by chance (Poisson). Times are in seconds, from the first byte sent until the answer
that the document has ended, of those that were accepted. Above capacity as many documents are in
work as may be, and further uploads are answered 429 with `Retry-After`. Lost is what was accepted
and did not end. Memory is what the processes have resident, summed: what they share counts for
each. Locust runs on the same processors.
"""
PLUMBING = """
## Plumbing

Seconds of the processor a document: {alone:.2f} by `smallprint extract` on the same files (reading
and inference, start not counted). The rest is what the suite adds: uploads, events, databases,
blobs, pages, items of the queue. Each document was sent once, when the one before had ended.

| edition | a document | plumbing's share |
| --- | ---: | ---: |
"""
COLUMNS = (
    *(
        "share",
        "a second",
        "seconds",
        "sent",
        "accepted",
        "429",
        "other",
        "complete",
        "partial or failed",
        "lost",
    ),
    *("p50", "p95", "p99", "upload answered p50", "p99", "memory before, most, after (MB)"),
)


def write(found: Mapping[str, Measured], alone: float, said: str) -> str:
    """The page.

    Args:
        found: what was measured of each edition.
        alone: seconds of the processor for one document without the suite.
        said: what was sent where, in words.
    """
    page = HEAD.format(said=said)
    for edition, one in found.items():
        page += f"\n## {edition.capitalize()}: {one.capacity:.2f} documents a second\n\n"
        page += _table(one.phases)
    page += "".join(_plumbing(found, alone))
    return page


def _table(phases: Iterable[Phase]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " ---: |" * len(COLUMNS)]
    for one in phases:
        accepted, refused = one.statuses.get(202, 0), one.statuses.get(429, 0)
        times = [percentile(one.took, share) for share in (0.5, 0.95, 0.99)]
        answers = [percentile(one.answered, share) for share in (0.5, 0.99)]
        cells = [
            f"{one.share:.0%}",
            f"{one.rate:.2f}",
            f"{one.seconds:.0f}",
            str(one.sent),
            str(accepted),
            str(refused),
            str(one.sent - accepted - refused),
            str(one.outcomes.get("complete", 0)),
            str(sum(one.outcomes.values()) - one.outcomes.get("complete", 0)),
            str(one.lost),
            *(_seconds(time) for time in (*times, *answers)),
            ", ".join(f"{size / 1e6:,.0f}" for size in one.resident),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _plumbing(found: Mapping[str, Measured], alone: float) -> Iterable[str]:
    yield PLUMBING.format(alone=alone)
    for edition, one in found.items():
        yield f"| {edition} | {one.processor:.2f} | {1 - alone / one.processor:.0%} |\n"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
