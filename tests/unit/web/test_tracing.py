"""Trace context, and its cost without a collector."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from shared import tracing
from shared.errors import SettingsError
from shared.logs import current_trace
from shared.tracing import Carried, carried, entered, span
from tests.fakes.trace_collector import Collector
from tests.support import ROOT

PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Collector() as collector, tracing.collected(collector.url):
        yield collector


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "nonsense",
        PARENT.upper(),
        PARENT + "-more",
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + "-" + "b" * 16 + "-01",
        "00-" + "a" * 32 + "-" + "0" * 16 + "-01",
        'x"}\n{"level": "error',
    ],
)
def test_an_invalid_traceparent_is_ignored(parent: str) -> None:
    assert Carried.read(parent, "vendor=1") == Carried()


@pytest.mark.parametrize("state", ["", "no list", "a=\nb", "a=" + "x" * 600])
def test_an_invalid_tracestate_is_dropped(state: str) -> None:
    assert Carried.read(PARENT, state) == Carried(PARENT)


def test_context_passes_through_without_a_collector() -> None:
    with entered("ingest", "work", Carried(PARENT, "vendor=1"), "server"):
        assert carried().headers == {"traceparent": PARENT, "tracestate": "vendor=1"}
        assert span("a") is span("b")
        with span("inner"):
            assert current_trace() == PARENT
    assert carried() == Carried()


def test_spans_have_the_right_parents(collector: Collector) -> None:
    def fail() -> None:
        with span("inner", {"smallprint.document": "doc_1", "left_out": None}):
            assert carried().state == "v=1"
        raise SettingsError("the words of a document")

    with pytest.raises(SettingsError), entered("a", "outer", Carried(PARENT, "v=1"), "server"):
        fail()
    tracing.close()
    inner, outer = collector.spans
    assert (outer.trace, outer.parent, outer.service) == ("a" * 32, "b" * 16, "a")
    assert (inner.trace, inner.parent, inner.service) == (outer.trace, outer.id, "a")
    assert inner.attributes == {"smallprint.document": "doc_1"}
    assert (outer.failed, inner.failed) == (True, False)
    assert outer.attributes == {"error.type": SettingsError.code}
    assert b"the words" not in b"".join(collector.bodies)


def test_an_unsampled_trace_is_not_collected(collector: Collector) -> None:
    with entered("a", "outer", Carried(PARENT[:-2] + "00"), "server"):
        assert current_trace() is not None
    tracing.close()
    assert not collector.spans


def test_a_missing_collector_delays_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with Collector() as gone:
        url = gone.url
    with tracing.collected(url), entered("a", "outer", Carried(), "server"):
        assert current_trace() is not None
    assert not tracing.is_on()


USED = """
import sys
from fastapi.testclient import TestClient
from shared.web.app import health_app
assert TestClient(health_app("a", [])).get("/version").status_code == 200
import services.ingest.bootstrap, services.review.bootstrap, shared.runtime.main
ours = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")
print([name for name in sys.modules if name.startswith(ours)])
"""


def test_without_a_collector_opentelemetry_is_not_loaded() -> None:
    others = {k: v for k, v in os.environ.items() if not k.startswith(("SMALLPRINT_", "OTEL_"))}
    done = subprocess.run(
        [sys.executable, "-c", USED], cwd=ROOT, env=others, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "[]"


def test_a_collector_without_the_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"kafka\.txt"):
        tracing.configure("http://127.0.0.1:4318")


@pytest.mark.parametrize("name", tracing.ENDPOINTS)
def test_the_standard_variables_work_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Collector() as collector:
        path = "/v1/traces" if "TRACES" in name else ""
        monkeypatch.setenv(name, collector.url + path)
        with tracing.collected(""), entered("a", "outer", Carried(), "server"):
            pass
        assert [one.name for one in collector.spans] == ["outer"]
