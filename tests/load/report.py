"""Write the measurements as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from tests.load.phases import EditionResult, Phase, percentile

HOUR = 0.10
"""US$ for an hour of such a machine."""
HEAD = """# Capacity

Written by `make load`: {said}.

Locust sends PDFs by REST at shares of the capacity (documents that end a second while eight are on
their way), by chance (Poisson). Times are in seconds, from the first byte sent until the answer
that the document has ended, of those that were accepted. Above capacity as many documents are in
work as may be, and further uploads are answered 429 with `Retry-After`. Lost is what was accepted
and did not end. Memory is what the processes have resident, summed, where what several share is
counted once (PSS). Locust runs on the same processors.
"""
PLUMBING = """
## Plumbing

Seconds of the processor a document: {alone:.2f} by `smallprint extract` on the same files (reading
and inference, start not counted). The rest is what the suite adds: uploads, events, databases,
blobs, pages, items of the queue. Each document was sent once, when the one before had ended. What
the suite takes while nothing is sent is in it, for as long as a document takes.

| edition | a document | plumbing's share | a second while nothing is sent |
| --- | ---: | ---: | ---: |
"""
PARTS = """
### What each part takes

| part | seconds of the processor a document | share | a second while nothing is sent |
| --- | ---: | ---: | ---: |
"""
GROWTH = """
## What breaks first

Reckoned from the parts of the full edition, each growing as the documents do: processors that are
wanted at so many times the {rate:.2f} documents a second of this machine. Workers, relays and apis
can be as many as wished, but at most {partitions} workers of a service work at the same time, one
for each partition of the topic (`partitions=` of the bus address). The database and the broker are
one server each here: past the processors of one server they break. Broker and topic can be spread;
databases are five, one for each service, and can lie on a server each.

| part | now | 10x | 100x | 1,000x | breaks where |
| --- | ---: | ---: | ---: | ---: | --- |
"""
COURSE = """
Memory of the {minutes:.0f} minutes at {rate:.2f} a second, the median of each twelfth (MB):
{sizes}.
"""
CHANGES = """
Parts that changed by a megabyte or more:

| part | first twelfth (MB) | last twelfth (MB) |
| --- | ---: | ---: |
"""
CHANGED = 1_000_000  # smaller changes of a part's memory are not shown, in bytes
COST = """
A million documents: {hours:,.0f} hours of this machine at its capacity, US$ {price:,.2f} at US$
{hour:.2f} an hour.
"""
PARTITIONS = 12  # of a topic, unless stated otherwise
SERVER = 32  # processors of a separate server for a database or a broker
COLUMNS = (
    "share | a second | seconds | sent | accepted | 429 | `Retry-After` | other | complete"
    " | partial or failed | lost | p50 | p95 | p99 | upload answered p50 | p99"
    " | memory before, most, after (MB)"
)


def write(found: Mapping[str, EditionResult], alone: float, said: str) -> str:
    """Write the page.

    Args:
        found: the measurements of each edition.
        alone: processor seconds for one document without the suite.
        said: a description of the run.
    """
    page = HEAD.format(said=said)
    for edition, one in found.items():
        page += f"\n## {edition.capitalize()}: {one.capacity:.2f} documents a second\n\n"
        page += _table(one.phases)
        page += "".join(_course(phase) for phase in one.phases if phase.course)
        page += "".join(_parts(one))
        hours = 1e6 / one.capacity / 3600
        page += COST.format(hours=hours, price=hours * HOUR, hour=HOUR)
    page += "".join(_plumbing(found, alone))
    if "full" in found:
        page += "".join(_growth(found["full"]))
    return page


def _table(phases: Iterable[Phase]) -> str:
    lines = [f"| {COLUMNS} |", "|" + " ---: |" * len(COLUMNS.split(" | "))]
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
            _retry_after(one),
            str(one.sent - accepted - refused),
            str(one.outcomes.get("complete", 0)),
            str(sum(one.outcomes.values()) - one.outcomes.get("complete", 0)),
            str(one.lost),
            *(_seconds(time) for time in (*times, *answers)),
            ", ".join(f"{size / 1e6:,.0f}" for size in one.memory),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _retry_after(one: Phase) -> str:
    """The least and largest Retry-After, and how many uploads had none."""
    told = sorted({seconds for seconds in one.retry_after if seconds < inf})
    said = [f"{told[0]:g} to {told[-1]:g}" if told[1:] else f"{told[0]:g}"] if told else []
    return ", ".join([*said, *([f"{one.untold} without"] if one.untold else [])])


def _course(one: Phase) -> str:
    page = COURSE.format(
        minutes=one.seconds / 60,
        rate=one.rate,
        sizes=", ".join(f"{size / 1e6:,.0f}" for size in one.course),
    )
    changed = {
        name: (first / 1e6, last / 1e6)
        for name, (first, *_, last) in one.by_part.items()
        if abs(last - first) >= CHANGED
    }
    page += CHANGES if changed else ""
    for name, (first, last) in sorted(changed.items(), key=lambda part: part[1][0] - part[1][1]):
        page += f"| {name} | {first:,.0f} | {last:,.0f} |\n"
    return page


def _plumbing(found: Mapping[str, EditionResult], alone: float) -> Iterable[str]:
    yield PLUMBING.format(alone=alone)
    for edition, one in found.items():
        share, idle = 1 - alone / one.processor, sum(one.idle.values())
        yield f"| {edition} | {one.processor:.2f} | {share:.0%} | {idle:.3f} |\n"


def _parts(one: EditionResult) -> Iterable[str]:
    yield PARTS
    for name, seconds in sorted(one.parts.items(), key=lambda part: -part[1]):
        share, idle = seconds / one.processor, one.idle.get(name, 0.0)
        yield f"| {name} | {seconds:.3f} | {share:.0%} | {idle:.3f} |\n"


def _growth(full: EditionResult) -> Iterable[str]:
    yield GROWTH.format(rate=full.capacity, partitions=PARTITIONS)
    for name, seconds in sorted(full.parts.items(), key=lambda part: -part[1]):
        wanted = [times * full.capacity * seconds for times in (1, 10, 100, 1000)]
        cells = [name, *(f"{one:,.1f}" for one in wanted), _end(name, seconds)]
        yield f"| {' | '.join(cells)} |\n"


def _end(name: str, seconds: float) -> str:
    """The highest load of a part, in documents a second."""
    if name in ("kafka", "postgres"):
        return (
            f"{SERVER / seconds:,.0f} a second: a server of {SERVER} processors" if seconds else ""
        )
    if name.endswith(" worker") and seconds:
        return f"{PARTITIONS / seconds:,.0f} a second: {PARTITIONS} partitions"
    return ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
