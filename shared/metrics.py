"""The metrics of the suite (Prometheus). The only file that knows the metrics library."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    "Seconds an event was worked on.",
    ["service", "stage"],
    buckets=_SECONDS,
)
queue_age_seconds = Gauge(
    "smallprint_queue_age_seconds",
    "Age of the oldest event that a service has yet to send, or has begun and not ended.",
    ["service"],
)
bus_lag = Gauge(
    "smallprint_bus_lag", "Events that a service has not acknowledged yet.", ["service"]
)
events_in_work = Gauge(
    "smallprint_events_in_work",
    "Events that workers have in hand at this moment; the origin adds them up.",
    ["service"],
)
stuck_loops = Gauge(
    "smallprint_stuck_loops",
    "Loops of this process that have ended, or stand still between two events.",
    ["service"],
)
processes = Gauge(
    "smallprint_processes",
    "Processes at work by what they do for a service; the origin adds up those that answer it.",
    ["service", "role"],
)
dead_letters_total = Counter("smallprint_dead_letters_total", "Events given up.", ["service"])
tokens_total = Counter("smallprint_tokens_total", "Tokens read by a specialist.", ["adapter"])
clauses_total = Counter("smallprint_clauses_total", "Clauses found.", ["route"])
findings_total = Counter("smallprint_findings_total", "Findings made.", ["route"])
sample_error_rate = Gauge(
    "smallprint_sample_error_rate",
    "Share of wrong ones among the last clauses that could be accepted and that people checked.",
    ["adapter"],
)
calibration_drift = Gauge(
    "smallprint_calibration_drift",
    "How far the last documents are from those of the calibration (population stability index); "
    "of several tenants the largest.",
    ["adapter"],
)
promise_tightened = Gauge(
    "smallprint_promise_tightened",
    "Tenants for whom less is accepted than their stated risk would allow, for checks were wrong.",
    ["adapter"],
)
promise_alerts_total = Counter(
    "smallprint_promise_alerts_total",
    "Stated risks that came into doubt (risk, category), and changes of documents (drift).",
    ["adapter", "kind"],
)
escalation_spend_usd_total = Counter(
    "smallprint_escalation_spend_usd_total",
    "Cost of calls to frontier models; the worst case where it is unknown.",
    ["provider"],
)

_readers: list[Callable[[], None]] = []


def at_scrape(read: Callable[[], None]) -> Callable[[], None]:
    """Call `read` at each scrape; returns a function that ends that."""
    _readers.append(read)
    return lambda: _readers.remove(read)


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
    """Everything measured in this process, in the Prometheus text format."""
    for read in tuple(_readers):
        try:
            read()
        except Exception:  # the other metrics matter all the more when a database is down
            log.exception("a metric can't be read")
    return generate_latest()
