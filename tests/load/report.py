"""Write the measurements as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from tests.load.phases import EditionResult, Phase, percentile

HOUR = 0.10
"""US$ for an hour of such a machine."""
HEAD = """# Capacity

Written by `make load`: {description}.

Locust sends PDFs by REST at random moments (Poisson), at shares of the capacity. The capacity is
the number of documents that end in a second while eight are in progress. Locust runs on the same
processors.

Times are seconds from the first byte sent until the answer that the document has ended. At the
maximum of documents in progress, an upload gets 429 with `Retry-After`. Lost documents were
accepted and did not end. Memory is the resident memory of all processes, shared pages counted once
(PSS).
"""
OVERHEAD = """
## Overhead

`smallprint extract` takes {alone:.2f} processor seconds for one of the same files: reading and
inference, without its start. The overhead is what the suite adds: uploads, events, databases,
blobs, pages and review items. Documents were sent one after another. The idle load is included for
the duration of a document.

| edition | processor seconds a document | overhead | idle, processor seconds a second |
| --- | ---: | ---: | ---: |
"""
PARTS = """
### Processor time by process

| process | seconds a document | share | idle, seconds a second |
| --- | ---: | ---: | ---: |
"""
GROWTH = """
## What limits it first

This table calculates the processors that each part of the full edition needs at multiples of
{rate:.2f} documents a second. Workers, relays and APIs can be added, but at most {partitions}
workers of a service work at the same time, one for each partition of the topic (`partitions=` of
the bus address). The database and the broker are one server each. The broker can be spread. Each
service can have a database server.

| part | now | 10x | 100x | 1,000x | limit |
| --- | ---: | ---: | ---: | ---: | --- |
"""
COURSE = """
Memory during {minutes:.0f} minutes at {rate:.2f} documents a second, the median of each twelfth
(MB): {sizes}.
"""
CHANGES = """
Processes whose memory changed by a megabyte or more:

| process | first twelfth (MB) | last twelfth (MB) |
| --- | ---: | ---: |
"""
CHANGED = 1_000_000  # smaller changes of a process's memory are not shown, in bytes
COST = """
A million documents take {hours:,.0f} hours of this machine at its capacity, US$ {price:,.2f} at US$
{hour:.2f} an hour.
"""
PARTITIONS = 12  # of a topic, unless stated otherwise
SERVER = 32  # processors of a separate server for a database or a broker
COLUMNS = (
    "share of capacity | a second | seconds | sent | accepted | 429 | `Retry-After` | other"
    " | complete | partial or failed | lost | p50 | p95 | p99 | upload p50 | upload p99"
    " | memory at start, maximum, end (MB)"
)


def write(found: Mapping[str, EditionResult], alone: float, description: str) -> str:
    """Write the page.

    Args:
        found: the measurements of each edition.
        alone: processor seconds for one document without the suite.
        description: how the run was made.
    """
    page = HEAD.format(description=description)
    for edition, one in found.items():
        page += f"\n## {edition.capitalize()}: {one.capacity:.2f} documents a second\n\n"
        page += _table(one.phases)
        page += "".join(_course(phase) for phase in one.phases if phase.course)
        page += "".join(_parts(one))
        hours = 1e6 / one.capacity / 3600
        page += COST.format(hours=hours, price=hours * HOUR, hour=HOUR)
    page += "".join(_overhead(found, alone))
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
    waits = sorted({seconds for seconds in one.retry_after if seconds < inf})
    parts = [f"{waits[0]:g} to {waits[-1]:g}" if waits[1:] else f"{waits[0]:g}"] if waits else []
    parts += [f"{one.without_retry_after} without"] if one.without_retry_after else []
    return ", ".join(parts)


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


def _overhead(found: Mapping[str, EditionResult], alone: float) -> Iterable[str]:
    yield OVERHEAD.format(alone=alone)
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
