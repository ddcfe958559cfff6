"""The output of `smallprint status`: the stages of a document, and the slow parts of the suite."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.cli.output.documents import kind
from services.cli.output.event_names import event_name
from services.cli.output.lines import plain
from services.cli.output.terminal import table

if TYPE_CHECKING:
    from shared.client import AnnouncedEvent, Document, Journal, ReceivedEvent

SERVICES = ("ingest", "extraction", "triage", "review", "escalation")
SHOWN = 10  # documents and stages shown
BEGINS = "document.ingested.v1"  # the first event of each attempt at a document
COUNTED_EVERY = 15  # seconds between two counts by relays (`shared.messaging.relay.MEASURE_EVERY`)
MANY = 5  # fewer runs have no median and no 95th percentile


@dataclass(frozen=True)
class Stage:
    """One event of a document in one service."""

    service: str
    type: str
    state: str
    """`unsent` (not yet sent by the service that announced it), `on_the_bus` (not yet received),
    `waiting`, `working`, `retrying`, `given_up` or `done`.
    """
    since: datetime
    received: datetime | None = None  # by the service
    attempts: int = 0
    worker: str = ""
    error: str | None = None
    next_try: datetime | None = None
    seen: datetime | None = None  # last heartbeat of its worker, which sends one every five seconds

    @property
    def is_open(self) -> bool:
        """Whether the service still has work to do for it."""
        return self.state not in ("done", "given_up")


def stages(journals: Iterable[Journal]) -> list[Stage]:
    """Every event of a document in every service that handles such events, the oldest first."""
    journals = list(journals)
    dated: list[tuple[datetime, Stage]] = []
    announced = {
        one.event: (one, journal.service) for journal in journals for one in journal.announced
    }
    for journal in journals:
        received = {one.event for one in journal.received}
        dated += [
            (_start_of(one, announced), _received_stage(journal.service, one))
            for one in journal.received
        ]
        for event, (one, by) in announced.items():
            if event not in received and one.type in journal.handles and one.sent is not None:
                dated.append(
                    (one.created, Stage(journal.service, one.type, "on_the_bus", one.sent))
                )
            elif one.sent is None and by == journal.service:
                dated.append((one.created, Stage(by, one.type, "unsent", one.created)))
    order = {service: number for number, service in enumerate(SERVICES)}
    dated.sort(key=lambda pair: (pair[0], order.get(pair[1].service, 9), pair[1].state))
    return [stage for _, stage in dated]


def _start_of(
    event: ReceivedEvent, announced: Mapping[str, tuple[AnnouncedEvent, str]]
) -> datetime:
    return announced[event.event][0].created if event.event in announced else event.first_seen


def _received_stage(service: str, event: ReceivedEvent) -> Stage:
    return Stage(
        service,
        event.type,
        event.state,
        event.since,
        event.first_seen,
        event.attempts,
        event.worker,
        event.error,
        event.next_try,
        event.seen,
    )


def document_line(
    document: Document, stages: Sequence[Stage], waiting: int, silent: Sequence[str]
) -> dict[str, Any]:
    """A document as a JSON line. `waiting` is its number of waiting review items; `silent` are
    services that did not answer.
    """
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
        "stages": [_jsonable(asdict(stage)) for stage in stages],
        "waiting_for_people": waiting,
        "silent": list(silent),
    }


def document_table(
    document: Document,
    stages: Sequence[Stage],
    waiting: int,
    silent: Sequence[str],
    now: datetime,
) -> Iterator[str]:
    """A document for a person: a summary, then a table of stages, divided by attempts."""
    what = document.outcome or document.state
    since = f"{document.state} {_ago(document.updated, now)}"
    if document.ended:
        since = f"ended {_clock(document.ended)} UTC"
    about = ", ".join(filter(None, (kind(document), what)))
    yield f"{plain(document.name)}  ({document.id})  {about}"
    yield f"  uploaded {_clock(document.created)} UTC by {plain(document.actor)}, {since}"
    for note in (*document.reasons, *document.warnings):
        yield f"  ! {plain(note)}"
    if document.progress:
        yield f"  {document.progress.pages_done} of {document.progress.pages} pages are read"
    rows = [("service", "event", "state", "since (UTC)", "", "")] if stages else []
    notes: list[str | None] = [None] * len(rows)
    for number, stage in enumerate(stages):
        if stage.type == BEGINS and number and stages[number - 1].type != BEGINS:
            rows.append(("new attempt", "", "", "", "", ""))
            notes.append(None)
        tries = f"{stage.attempts} tries" if stage.attempts > 1 else ""
        who = _who(stage, now) if stage.state == "working" else ""
        again = f"next try {_ahead(stage.next_try, now)}" if stage.next_try else ""
        extra = ", ".join(part for part in (tries, who, again) if part)
        state = "dead letter" if stage.state == "given_up" else stage.state.replace("_", " ")
        cells = (stage.service, event_name(stage.type), state, _clock(stage.since))
        rows.append((*cells, _duration(stage, now), extra))
        notes.append(stage.error)
    yield from _table(rows, notes)
    if any(stage.state == "given_up" for stage in stages):
        yield f"  ! see `smallprint dead-letters list --document {document.id}`"
    if waiting:
        yield f"  review  {waiting} item{' waits' if waiting == 1 else 's wait'} for review"
    for service in silent:
        yield f"  ! {service} does not answer: its events of the document are unknown"


def _duration(stage: Stage, now: datetime) -> str:
    """How long a service took for an event since it received it, or how long it is in its state."""
    if stage.is_open:
        return _ago(stage.since, now)
    return f"took {_span((stage.since - (stage.received or stage.since)).total_seconds())}"


def _who(stage: Stage, now: datetime) -> str:
    if stage.seen is None:
        return stage.worker
    ago = _span((now - stage.seen).total_seconds())
    return f"{stage.worker}, last seen {ago} ago"


# What is slow


@dataclass(frozen=True)
class Pace:
    """The time of a stage in seconds, since its processes started."""

    service: str
    stage: str
    count: int
    p50: float
    p95: float
    mean: float
    least: float  # no run was faster; a bound of the histogram
    most: float | None  # no run was slower; a bound of the histogram, None above the last one


@dataclass(frozen=True)
class Queue:
    """The queue of one service."""

    service: str
    lag: int | None
    """Events not acknowledged yet, at most COUNTED_EVERY seconds old; None if no relay answers."""
    in_work: int | None  # events that its workers handle now; None if no worker answers
    age_seconds: float | None
    """Age of the oldest event that is unsent or unfinished; None if unknown."""
    dead_letters: int  # events given up since its processes started


_SAMPLE = re.compile(r"smallprint_(\w+)\{([^}]*)\} (\S+)")
_LABEL = re.compile(r'\b(\w+)="((?:[^"\\]|\\.)*)"')

Samples = dict[str, list[tuple[dict[str, str], float]]]


def read_metrics(text: str) -> Samples:
    """The suite's samples in the text of `/metrics`, by name without the prefix."""
    samples: Samples = defaultdict(list)
    for line in text.splitlines():
        if match := _SAMPLE.match(line):
            samples[match[1]].append((dict(_LABEL.findall(match[2])), float(match[3])))
    return samples


def queues(samples: Samples) -> list[Queue]:
    """The longest queue first, then the one with the most events in work."""

    def of(name: str, service: str) -> float | None:
        values = [v for labels, v in samples.get(name, ()) if labels.get("service") == service]
        return max(values, default=None)

    names = ("bus_lag", "events_in_work", "queue_age_seconds", "dead_letters_total")
    services = {labels["service"] for name in names for labels, _ in samples.get(name, ())}
    queues = []
    for service in sorted(services):
        lag, in_work, age, dead = (of(name, service) for name in names)
        queues.append(
            Queue(
                service,
                None if lag is None else int(lag),
                None if in_work is None else int(in_work),
                None if age is None else round(age, 1),
                int(dead or 0),
            )
        )
    return sorted(
        queues,
        key=lambda one: (
            *(-(number or 0) for number in (one.lag, one.in_work, one.age_seconds)),
            one.service,
        ),
    )


def paces(samples: Samples) -> list[Pace]:
    """The times of stages, the slowest first."""
    buckets: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for labels, value in samples.get("stage_seconds_bucket", ()):
        bounds = buckets[labels["service"], labels["stage"]]
        bounds[float(labels["le"])] = bounds.get(float(labels["le"]), 0.0) + value
    total: dict[tuple[str, str], float] = defaultdict(float)
    for labels, value in samples.get("stage_seconds_sum", ()):
        total[labels["service"], labels["stage"]] += value
    paces = []
    for key, bounds in buckets.items():
        if count := int(max(bounds.values())):
            by_share = quantile(bounds, 0.5), quantile(bounds, 0.95)
            paces.append(Pace(*key, count, *by_share, total[key] / count, *_between(bounds)))
    return sorted(paces, key=lambda one: (-one.p95, one.service, one.stage))


def quantile(bounds: Mapping[float, float], share: float) -> float:
    """A quantile of a histogram by its cumulative counts: linear within a bucket, and at most the
    last bound (Prometheus, `histogram_quantile`).
    """
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
    """The bounds between which all times of a histogram are."""
    total = max(bounds.values())
    least = max((bound for bound, count in bounds.items() if count == 0), default=0.0)
    most = min(bound for bound, count in bounds.items() if count == total)
    return least, None if math.isinf(most) else most


@dataclass(frozen=True)
class SilentProcesses:
    """Processes that did not answer, so that figures are missing."""

    relays: tuple[str, ...] = ()  # services without an answering relay; their queues are unknown
    workers: tuple[str, ...] = ()
    """Services without an answering worker; their stage times are unknown."""
    addresses: Mapping[str, int] = field(default_factory=dict)
    """Number of silent processes by address."""


def silent_processes(samples: Samples) -> SilentProcesses:
    """Services and addresses without samples."""

    def without(role: str) -> tuple[str, ...]:
        services = {
            labels["service"]
            for labels, count in samples.get("processes", ())
            if labels["role"] == role and count
        }
        return tuple(service for service in SERVICES if service not in services)

    addresses = samples.get("silent_processes", ())
    at = {labels["address"]: int(count) for labels, count in addresses}
    return SilentProcesses(without("relay"), without("worker"), at)


def overview_line(
    waiting: Sequence[Queue],
    pace: Sequence[Pace],
    slowest: Sequence[Document],
    now: datetime,
    silent: SilentProcesses,
) -> dict[str, Any]:
    """The slow stages and queues as a JSON line."""
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
    silent: SilentProcesses,
) -> Iterator[str]:
    """The slow stages and queues for a person."""
    yield "queues"
    heads = ("service", "unfinished", "in progress", "oldest", "dead letters")
    rows = [
        (
            one.service,
            "?" if one.lag is None else f"{one.lag:,}",
            "?" if one.in_work is None else f"{one.in_work:,}",
            "?" if one.age_seconds is None else _span(one.age_seconds),
            f"{one.dead_letters:,}",
        )
        for one in waiting
        if one.lag is None or one.in_work is None or one.lag or one.in_work or one.dead_letters
    ]
    if rows:
        yield from _table([heads, *rows])
        yield f"  unfinished includes in progress, and is up to {COUNTED_EVERY} s old"
    elif waiting:
        yield "  all are empty"
    if any(one.dead_letters for one in waiting):
        yield "  ! `smallprint dead-letters list` lists the dead letters"
    if silent.relays:
        yield f"  ! no relay answers of {', '.join(silent.relays)}: their queues are unknown"
    if blind := [q.service for q in waiting if q.lag is None and q.service not in silent.relays]:
        yield (
            f"  ! the queue of {', '.join(blind)} is unknown: its relay can't reach its database "
            "or the broker; see its log"
        )
    yield "stages, the slowest first"
    heads5 = ("service", "stage", "runs", "half within", "95% within")
    yield from _table(
        [
            heads5,
            *(
                (one.service, event_name(one.stage), f"{one.count:,}", *_times(one))
                for one in pace[:SHOWN]
            ),
        ]
    )
    if silent.workers:
        yield f"  ! no worker answers of {', '.join(silent.workers)}: their stages are unknown"
    for address, count in silent.addresses.items():
        yield f"  ! {plain(address)} does not answer{f' ({count} processes)' if count > 1 else ''}"
    yield "documents longest in progress" if slowest else "no documents in progress"
    yield from _table(
        [(one.id, one.state, _ago(one.created, now), plain(one.name)) for one in slowest]
    )


def _times(one: Pace) -> tuple[str, str]:
    """Median and 95th percentile of many runs; bounds or the mean of a few."""
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
    for number, row in enumerate(table(rows)):
        yield row
        if below and below[number]:
            yield f"    {plain(below[number] or '')}"


def _ago(moment: datetime, now: datetime) -> str:
    return f"for {_span((now - moment).total_seconds())}"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _ahead(moment: datetime, now: datetime) -> str:
    seconds = (moment - now).total_seconds()
    return f"in {_span(seconds)}" if seconds > 0 else "now"


def _span(seconds: float) -> str:
    seconds = max(seconds, 0.0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}
