"""The metrics of the suite (Prometheus). The only file that knows the metrics library."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

from shared.errors import Unavailable

CONTENT_TYPE = CONTENT_TYPE_LATEST

log = logging.getLogger(__name__)

_SECONDS = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

documents_total = Counter(
    "smallprint_documents_total", "Documents that ended.", ["outcome", "kind"]
)
stage_seconds = Histogram(
    "smallprint_stage_seconds",
    "Processing time of an event, in seconds.",
    ["service", "stage"],
    buckets=_SECONDS,
)
queue_age_seconds = Gauge(
    "smallprint_queue_age_seconds",
    "Age of the oldest event that a service has not sent or not finished, in seconds.",
    ["service"],
)
bus_lag = Gauge(
    "smallprint_bus_lag", "Events that a service has not acknowledged yet.", ["service"]
)
events_in_work = Gauge(
    "smallprint_events_in_work",
    "Events that workers are handling now; the origin adds them up.",
    ["service"],
)
stuck_loops = Gauge(
    "smallprint_stuck_loops",
    "Loops of this process that have ended or are stuck.",
    ["service"],
)
processes = Gauge(
    "smallprint_processes",
    "Running processes by service and role; the origin counts those that answer.",
    ["service", "role"],
)
dead_letters_total = Counter("smallprint_dead_letters_total", "Events given up.", ["service"])
tokens_total = Counter("smallprint_tokens_total", "Tokens read by a specialist.", ["adapter"])
clauses_total = Counter("smallprint_clauses_total", "Clauses found.", ["route"])
findings_total = Counter("smallprint_findings_total", "Findings made.", ["route"])
sample_error_rate = Gauge(
    "smallprint_sample_error_rate",
    "Share of errors among the latest checked clauses that could be accepted.",
    ["adapter"],
)
calibration_drift = Gauge(
    "smallprint_calibration_drift",
    "Population stability index between the latest documents and the calibration data; the "
    "largest of all tenants.",
    ["adapter"],
)
promise_tightened = Gauge(
    "smallprint_promise_tightened",
    "Tenants for which less is accepted than the stated risk allows, after wrong checks up to "
    "yesterday (UTC).",
    ["adapter"],
)
promise_alerts_total = Counter(
    "smallprint_promise_alerts_total",
    "Alarms about stated risks (risk, category) and about changed documents (drift).",
    ["adapter", "kind"],
)
escalation_spend_usd_total = Counter(
    "smallprint_escalation_spend_usd_total",
    "Cost of calls to frontier models, or the worst case if it is unknown.",
    ["provider"],
)

_COUNTED = (
    *(documents_total, stage_seconds, dead_letters_total, tokens_total),
    *(clauses_total, findings_total, promise_alerts_total),
)
"""What a worker counts."""
Counts = dict[tuple[int, tuple[str, ...]], list[float]]
"""By metric and labels: the parts of a counter or a histogram."""

_readers: list[Callable[[], None]] = []


def at_scrape(read: Callable[[], None]) -> Callable[[], None]:
    """Call `read` at each scrape; returns a function that stops it."""
    _readers.append(read)
    return lambda: _readers.remove(read)


def counts() -> Counts:
    """Return what this process has counted so far."""
    return {
        (number, tuple(labels)): [part.get() for part in _parts(metric.labels(*labels))]
        for number, metric in enumerate(_COUNTED)
        for labels in list(metric._metrics)
    }


def counts_since(before: Counts) -> Counts:
    """Return what this process has counted since `before`."""
    return {
        key: [new - old for new, old in zip(now, before.get(key, [0.0] * len(now)), strict=True)]
        for key, now in counts().items()
    }


def add_counts(more: Counts) -> None:
    """Add what a child process has counted."""
    for (number, labels), amounts in more.items():
        for part, amount in zip(_parts(_COUNTED[number].labels(*labels)), amounts, strict=True):
            part.inc(amount)


def _parts(child: Any) -> list[Any]:
    return [child._value] if isinstance(child, Counter) else [child._sum, *child._buckets]


@contextmanager
def removed_on_error(service: str, *gauges: Gauge) -> Iterator[None]:
    """Log errors of the block and remove the service's values from the gauges; raise nothing.

    An alert notices a missing value, but would believe an old one.
    """
    try:
        yield
    except Unavailable as error:
        log.warning("waiting events can't be counted now", extra={"reason": error.message})
    except Exception:
        log.exception("waiting events can't be counted")
    else:
        return
    for gauge in gauges:
        gauge.remove(service)


def exposition() -> bytes:
    """Return all metrics of this process, in the Prometheus text format."""
    for read in tuple(_readers):
        try:
            read()
        except Exception:  # the other metrics matter all the more when a database is down
            log.exception("a metric can't be read")
    return generate_latest()
