"""Where a document is, and what is slow now: what services say, put together for people."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.cli.lines import plain

if TYPE_CHECKING:
    from shared.client import Document, Heard, Journal, Said

SERVICES = ("ingest", "extraction", "triage", "review", "escalation")
SHOWN = 10
"""Documents and stages that are shown of many."""
BEGINS = "document.ingested.v1"
"""The event with which work on a document begins, each time that it is begun."""
COUNTED_EVERY = 15
"""Seconds after which relays count anew what waits (`shared.storage.relay.MEASURE_EVERY`)."""
MANY = 5
"""Times from which on it is said within which half of them and 95% lie."""


@dataclass(frozen=True)
class Stage:
    """One event of a document with one service."""

    service: str
    type: str
    standing: str
    """`unsent` (the relay of the service that said it has yet to send it), `on_the_bus` (nobody of
    the service has taken it yet), `working`, `retrying`, `given_up` or `done`."""
    since: datetime
    attempts: int = 0
    worker: str = ""
    error: str | None = None
    next_try: datetime | None = None
    seen: datetime | None = None
    """When the worker that has it last gave a sign of life, as it does every five seconds."""

    @property
    def is_open(self) -> bool:
        """Whether something is still to come of it by itself."""
        return self.standing not in ("done", "given_up")


def stages(journals: Iterable[Journal]) -> list[Stage]:
    """Every event of a document with every service that works on such events, the oldest first."""
    journals = list(journals)
    found: list[tuple[datetime, Stage]] = []
    said = {one.event: (one, journal.service) for journal in journals for one in journal.said}
    for journal in journals:
        heard = {one.event for one in journal.heard}
        found += [(_begin(one, said), _of_heard(journal.service, one)) for one in journal.heard]
        for event, (one, by) in said.items():
            if event not in heard and one.type in journal.hears and one.sent is not None:
                found.append(
                    (one.created, Stage(journal.service, one.type, "on_the_bus", one.sent))
                )
            elif one.sent is None and by == journal.service:
                found.append((one.created, Stage(by, one.type, "unsent", one.created)))
    order = {service: place for place, service in enumerate(SERVICES)}
    found.sort(key=lambda pair: (pair[0], order.get(pair[1].service, 9), pair[1].standing))
    return [stage for _, stage in found]


def _begin(heard: Heard, said: Mapping[str, tuple[Said, str]]) -> datetime:
    return said[heard.event][0].created if heard.event in said else heard.first_seen


def _of_heard(service: str, heard: Heard) -> Stage:
    return Stage(
        service,
        heard.type,
        heard.standing,
        heard.since,
        heard.attempts,
        heard.worker,
        heard.error,
        heard.next_try,
        heard.seen,
    )


def document_line(
    document: Document, found: Sequence[Stage], waiting: int, silent: Sequence[str]
) -> dict[str, Any]:
    """A document as a line of JSON. `waiting`: its items that wait for people; `silent`: services
    that did not answer."""
    return {
        "id": document.id,
        "name": document.name,
        "kind": document.kind,
        "state": document.state,
        "outcome": document.outcome,
        "reasons": list(document.reasons),
        "attempt": document.attempt,
        "created": document.created.isoformat(),
        "updated": document.updated.isoformat(),
        "stages": [_jsonable(asdict(stage)) for stage in found],
        "waiting_for_people": waiting,
        "silent": list(silent),
    }


def document_table(
    document: Document,
    found: Sequence[Stage],
    waiting: int,
    silent: Sequence[str],
    now: datetime,
) -> Iterator[str]:
    """A document for a person at a terminal: a sentence, then a row a stage below their heads.
    Each time that the document was begun anew is told apart.
    """
    what = document.outcome or document.state
    since = document.ended or document.updated
    yield f"{plain(document.name)}  ({document.id})  {document.kind}, {what} {_ago(since, now)}"
    for reason in document.reasons:
        yield f"  ! {plain(reason)}"
    if document.progress:
        yield f"  {document.progress.pages_done} of {document.progress.pages} pages are read"
    rows = [("service", "event", "stands", "how long", "")] if found else []
    notes: list[str | None] = [None] * len(rows)
    for place, one in enumerate(found):
        if one.type == BEGINS and place and found[place - 1].type != BEGINS:
            rows.append(("begun anew", "", "", "", ""))
            notes.append(None)
        tries = f"{one.attempts} tries" if one.attempts > 1 else ""
        who = _who(one, now) if one.standing == "working" else ""
        again = f"next try {_ahead(one.next_try, now)}" if one.next_try else ""
        extra = ", ".join(part for part in (tries, who, again) if part)
        said = one.standing.replace("_", " ")
        rows.append((one.service, one.type, said, _ago(one.since, now), extra))
        notes.append(one.error)
    yield from _table(rows, notes)
    if waiting:
        yield f"  review  {waiting} item{'' if waiting == 1 else 's'} wait for people"
    for service in silent:
        yield f"  ! {service} does not answer: what it has of the document is not known now"


def _who(stage: Stage, now: datetime) -> str:
    """Who has it in hand, and when that was last seen alive."""
    if stage.seen is None:
        return stage.worker
    ago = _span((now - stage.seen).total_seconds())
    return f"{stage.worker}, last seen {ago} ago"


# What is slow now


@dataclass(frozen=True)
class Pace:
    """How long a stage takes, in seconds, since its processes started."""

    service: str
    stage: str
    count: int
    p50: float
    p95: float
    mean: float
    least: float
    """No time was below it: a bound of the histogram."""
    most: float | None
    """No time was above it, such a bound too; None: some were above the last one."""


@dataclass(frozen=True)
class Queue:
    """What waits for one service."""

    service: str
    lag: int | None
    """Events that it has not acknowledged yet, as of the last COUNTED_EVERY seconds; None: not
    known, for no relay says so."""
    in_work: int | None
    """Events that its workers have in hand now; None: not known, for no worker says so."""
    age_seconds: float | None
    """Age of the oldest one that is unsent, or begun and not ended; None: not known."""
    dead_letters: int
    """Events given up since its processes started."""


_SAMPLE = re.compile(r"smallprint_(\w+)\{([^}]*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Samples = dict[str, list[tuple[dict[str, str], float]]]


def read_metrics(text: str) -> Samples:
    """The suite's own samples in the text that `/metrics` answers, by name without the prefix."""
    found: Samples = defaultdict(list)
    for line in text.splitlines():
        if match := _SAMPLE.match(line):
            found[match[1]].append((dict(_LABEL.findall(match[2])), float(match[3])))
    return found


def queues(samples: Samples) -> list[Queue]:
    """What waits, the longest queue first, then what has most in work."""

    def of(name: str, service: str) -> float | None:
        values = [v for labels, v in samples.get(name, ()) if labels.get("service") == service]
        return max(values, default=None)

    names = ("bus_lag", "events_in_work", "queue_age_seconds", "dead_letters_total")
    known = {labels["service"] for name in names for labels, _ in samples.get(name, ())}
    found = []
    for service in sorted(known):
        lag, begun, age, dead = (of(name, service) for name in names)
        found.append(
            Queue(
                service,
                None if lag is None else int(lag),
                None if begun is None else int(begun),
                None if age is None else round(age, 1),
                int(dead or 0),
            )
        )
    return sorted(
        found,
        key=lambda one: (
            *(-(number or 0) for number in (one.lag, one.in_work, one.age_seconds)),
            one.service,
        ),
    )


def paces(samples: Samples) -> list[Pace]:
    """How long stages take, the slowest first."""
    buckets: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for labels, value in samples.get("stage_seconds_bucket", ()):
        bounds = buckets[labels["service"], labels["stage"]]
        bounds[float(labels["le"])] = bounds.get(float(labels["le"]), 0.0) + value
    total: dict[tuple[str, str], float] = defaultdict(float)
    for labels, value in samples.get("stage_seconds_sum", ()):
        total[labels["service"], labels["stage"]] += value
    found = []
    for key, bounds in buckets.items():
        if count := int(max(bounds.values())):
            by_share = quantile(bounds, 0.5), quantile(bounds, 0.95)
            found.append(Pace(*key, count, *by_share, total[key] / count, *_between(bounds)))
    return sorted(found, key=lambda one: (-one.p95, one.service, one.stage))


def quantile(bounds: Mapping[float, float], share: float) -> float:
    """A quantile of a histogram by its cumulative counts, linear within a bucket; above the last
    bound, that bound (Prometheus, `histogram_quantile`)."""
    total = bounds[math.inf]
    below_bound, below = 0.0, 0.0
    for bound, count in sorted(bounds.items()):
        if count >= share * total and count > below:
            if math.isinf(bound):
                return below_bound
            inside = (share * total - below) / (count - below)
            return round(below_bound + (bound - below_bound) * inside, 3)
        below_bound, below = (below_bound if math.isinf(bound) else bound), count
    return below_bound


def _between(bounds: Mapping[float, float]) -> tuple[float, float | None]:
    """Between which bounds of a histogram all of its times lie."""
    total = max(bounds.values())
    least = max((bound for bound, count in bounds.items() if count == 0), default=0.0)
    most = min(bound for bound, count in bounds.items() if count == total)
    return least, None if math.isinf(most) else most


@dataclass(frozen=True)
class Silence:
    """Of whom nothing is known now, so that what is shown is not all there is."""

    relays: tuple[str, ...] = ()
    """Services no relay of which answered: nobody else knows what waits for them."""
    workers: tuple[str, ...] = ()
    """Services no worker of which answered: nobody else knows how long their stages take."""
    addresses: Mapping[str, int] = field(default_factory=dict)
    """How many processes did not answer at an address that was asked."""


def silence(samples: Samples) -> Silence:
    """Whose measurements are not among the samples."""

    def without(role: str) -> tuple[str, ...]:
        known = {
            labels["service"]
            for labels, count in samples.get("processes", ())
            if labels["role"] == role and count
        }
        return tuple(service for service in SERVICES if service not in known)

    asked = samples.get("silent_processes", ())
    at = {labels["address"]: int(count) for labels, count in asked}
    return Silence(without("relay"), without("worker"), at)


def overview_line(
    waiting: Sequence[Queue],
    pace: Sequence[Pace],
    slowest: Sequence[Document],
    now: datetime,
    silent: Silence,
) -> dict[str, Any]:
    """What is slow as a line of JSON."""
    return {
        "silent": asdict(silent),
        "queues": [asdict(one) for one in waiting],
        "stages": [asdict(one) for one in pace],
        "slowest": [
            {
                "id": one.id,
                "name": one.name,
                "state": one.state,
                "created": one.created.isoformat(),
                "seconds": round((now - one.created).total_seconds(), 1),
            }
            for one in slowest
        ],
    }


def overview_table(
    waiting: Sequence[Queue],
    pace: Sequence[Pace],
    slowest: Sequence[Document],
    now: datetime,
    silent: Silence,
) -> Iterator[str]:
    """What is slow for a person at a terminal."""
    yield "queues"
    heads = ("service", "waiting", "in work", "oldest", "given up")
    rows = [
        (
            one.service,
            "?" if one.lag is None else f"{one.lag:,}",
            "?" if one.in_work is None else f"{one.in_work:,}",
            "?" if one.age_seconds is None else _span(one.age_seconds),
            f"{one.dead_letters:,}",
        )
        for one in waiting
    ]
    yield from _table([heads, *rows])
    yield (
        f"  waiting and oldest are counted every {COUNTED_EVERY} s, what is in work among them; in "
        "work is of this moment"
    )
    if silent.relays:
        yield f"  ! no relay answered of {', '.join(silent.relays)}: what waits there is not known"
    if blind := [q.service for q in waiting if q.lag is None and q.service not in silent.relays]:
        yield (
            f"  ! what waits for {', '.join(blind)} is not known: its relay can't ask its database "
            "or the broker, and its log says why"
        )
    yield "stages, by their 95th percentile"
    heads5 = ("service", "stage", "times", "half within", "95% within")
    yield from _table(
        [
            heads5,
            *((one.service, one.stage, f"{one.count:,}", *_times(one)) for one in pace[:SHOWN]),
        ]
    )
    if silent.workers:
        yield f"  ! no worker answered of {', '.join(silent.workers)}: their stages are not known"
    for address, count in silent.addresses.items():
        yield f"  ! {plain(address)} does not answer{f' ({count} processes)' if count > 1 else ''}"
    yield "documents that have been at work longest" if slowest else "no document is at work"
    yield from _table(
        [(one.id, one.state, _ago(one.created, now), plain(one.name)) for one in slowest]
    )


def _times(one: Pace) -> tuple[str, str]:
    """Half and 95% of many times; of few what is known of all of them."""
    if one.count >= MANY:
        return _span(one.p50), _span(one.p95)
    if one.count == 1:
        return f"it took {_span(one.mean)}", ""
    if one.most is None:
        return f"above {_span(one.least)}" if one.least else f"{_span(one.mean)} on average", ""
    return f"{_span(one.least)} to {_span(one.most)}", ""


def _table(
    rows: Sequence[Sequence[str]], below: Sequence[str | None] | None = None
) -> Iterator[str]:
    if not rows:
        return
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for place, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
        if below and below[place]:
            yield f"    {plain(below[place] or '')}"


def _ago(moment: datetime, now: datetime) -> str:
    return f"for {_span((now - moment).total_seconds())}"


def _ahead(moment: datetime, now: datetime) -> str:
    left = (moment - now).total_seconds()
    return f"in {_span(left)}" if left > 0 else "now"


def _span(seconds: float) -> str:
    seconds = max(seconds, 0.0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}
