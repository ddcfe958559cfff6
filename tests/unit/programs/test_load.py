"""Shares of capacity, times, resources, and the page."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.load import __main__ as load
from tests.load.__main__ import prepare, processor_idle, processor_within
from tests.load.edition import running
from tests.load.phases import EditionResult, Phase, joined, percentile
from tests.load.report import write
from tests.load.resources import course, memory_of, usage_of

BUSY = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BUSY!r}], check=True)
kept = bytearray(60_000_000)
print("ready", flush=True)
sys.stdin.read()
"""


def phase(share: float, *, lost: int = 0) -> Phase:
    """Ten documents a second apart, of which three were refused."""
    return Phase(
        share=share,
        rate=share * 2,
        seconds=10.0,
        sent=10,
        statuses={202: 7, 429: 3},
        outcomes={"complete": 6, "partial": 1},
        took=[float(number) for number in range(1, 8)],
        answered=[0.25] * 10,
        lost=lost,
        retry_after=(10.0, 12.0, inf),
        memory=(1_000_000, 3_000_000, 2_000_000),
    )


def test_a_process_is_counted_with_all_below_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        taken = usage_of(process.pid)
        assert 0.4 <= taken.seconds < 5
        assert 50_000_000 < taken.memory < 200_000_000
        mine = usage_of(os.getpid())
        assert mine.memory > taken.memory
        with memory_of(process.pid, interval=0.05) as seen:
            while not seen:
                time.sleep(0.05)
        assert sum(seen[0].values()) > 50_000_000
        process.stdin.close()
    assert usage_of(process.pid).memory == 0


@pytest.mark.parametrize(
    ("count", "share", "value"),
    [(10, 0.5, 5.0), (20, 0.95, 19.0), (100, 0.99, 99.0), (7, 0.5, 4.0), (7, 0.99, 7.0)],
)
def test_percentiles_are_values_that_were_measured(count: int, share: float, value: float) -> None:
    assert percentile((float(number) for number in range(count, 0, -1)), share) == value
    assert percentile([], share) is None


def test_an_upload_without_an_end_counts() -> None:
    lines = [
        '{"began": 1.0, "answered": 1.5, "status": 202, "id": "a"}',
        '{"began": 2.0, "answered": 2.5, "status": 202, "id": "b"}',
        '{"began": 3.0, "answered": 3.5, "status": 429}',
        '{"id": "b", "ended": 9.0, "outcome": "complete"}',
    ]
    lost, ended, refused = joined(lines)
    assert "ended" not in lost
    assert (ended["ended"], ended["outcome"], ended["began"]) == (9.0, "complete", 2.0)
    assert refused["status"] == 429


def test_the_page_has_a_line_for_each_share_and_the_overhead() -> None:
    parts = {"extraction worker": 1.4, "postgres": 0.4, "origin": 0.2}
    phases, idle = [phase(0.5), phase(1.2, lost=2)], {"postgres": 0.004, "origin": 0.001}
    page = write({"full": EditionResult(2.0, parts, phases, idle)}, 1.5, "two papers")
    (line,) = (line for line in page.splitlines() if line.startswith("| 50%"))
    assert line.startswith("| 50% | 1.00 | 10 | 10 | 7 | 3 | 10 to 12, 1 without | 0 | 6 | 1 | 0 |")
    assert line.endswith("| 0 | 4.00 | 7.00 | 7.00 | 0.25 | 0.25 | 1, 3, 2 |")
    assert "| 120% | 2.40 | 10 | 10 | 7 | 3 | 10 to 12, 1 without | 0 | 6 | 1 | 2 |" in page
    assert "## Full: 2.00 documents a second" in page
    assert "| full | 2.00 | 25% | 0.005 |" in page
    assert "| extraction worker | 1.400 | 70% | 0.000 |" in page
    assert "| postgres | 0.400 | 20% | 0.004 |" in page
    worker = "| extraction worker | 2.8 | 28.0 | 280.0 | 2,800.0 | 9 a second: 12 partitions |"
    assert worker in page
    assert (
        "| postgres | 0.8 | 8.0 | 80.0 | 800.0 | 80 a second: a server of 32 processors |" in page
    )
    assert "139 hours of this machine at its capacity, US$ 13.89 at US$" in page
    assert "two papers" in page


@pytest.mark.parametrize(
    ("waits", "shown"),
    [
        ((), ""),
        ((10.0, 10.0), "10"),
        ((12.0, 10.0, 11.0), "10 to 12"),
        ((10.0, inf, 10.0), "10, 1 without"),
        ((inf, inf, inf), "3 without"),
    ],
)
def test_a_refusal_without_a_time_is_on_the_page(waits: tuple[float, ...], shown: str) -> None:
    phases = [replace(phase(2.0), retry_after=waits)]
    page = write({"full": EditionResult(2.0, {"origin": 2.0}, phases, {})}, 1.5, "two papers")
    assert f"| 200% | 4.00 | 10 | 10 | 7 | 3 | {shown} | 0 | 6 |" in page


@pytest.mark.parametrize(
    ("waits", "lost", "code"), [((10.0, 12.0), 0, 0), ((10.0, inf), 0, 1), ((10.0,), 1, 1)]
)
def test_the_exit_code_says_whether_guarantees_hold(
    monkeypatch: pytest.MonkeyPatch, waits: tuple[float, ...], lost: int, code: int
) -> None:
    measured = EditionResult(
        2.0, {"origin": 2.0}, [replace(phase(2.0), retry_after=waits, lost=lost)], {}
    )
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(load, "LOCUST", Path(sys.executable))
    monkeypatch.setattr(load, "processor_alone", lambda _documents: 1.5)
    monkeypatch.setattr(load, "running", lambda *_: nullcontext())
    monkeypatch.setattr(load, "_measure", lambda *_: measured)
    assert load.main(["--editions", "full"]) == code


def test_the_page_shows_memory_over_a_long_phase_and_which_process_grew() -> None:
    seen = [
        piece * 1_000_000 + (90_000_000 if place == 0 else 0)
        for piece in range(12)
        for place in range(5)
    ]
    assert course(seen) == tuple(piece * 1_000_000 for piece in range(12))
    assert course(seen[:11]) == ()
    parts = {"kafka": course(seen), "origin": (40_000_000,) * 12}
    long = replace(phase(0.5), course=course(seen), by_part=parts, seconds=3600.0)
    flat = replace(phase(0.8), course=parts["origin"], by_part={"origin": parts["origin"]})
    page = write(
        {"full": EditionResult(2.0, {"origin": 2.0}, [long, flat, phase(1.0)], {"origin": 0.1})},
        1.5,
        "two papers",
    )
    sizes = ", ".join(str(number) for number in range(12))
    course_line = (
        f"60 minutes at 1.00 documents a second, the median of each twelfth\n(MB): {sizes}."
    )
    assert page.count("the median of each twelfth") == 2
    assert course_line in page
    changed = page.split("Processes whose memory")[1].split("\n\n")[1].splitlines()
    assert changed[2:] == ["| kafka | 0 | 11 |"]
    assert page.count("Processes whose memory") == 1


@pytest.mark.parametrize("given", [True, False])
def test_documents_are_the_shorter_half_of_those_given_or_made(tmp_path: Path, given: bool) -> None:
    sources = tmp_path / "sources"
    if given:
        made = prepare(tmp_path / "first", None)
        (sources / "below").mkdir(parents=True)
        for path in made[:4]:
            (sources / "below" / path.name).write_bytes(path.read_bytes())
    documents = prepare(tmp_path / "documents", sources if given else None)
    assert len(documents) == (2 if given else 20)
    assert all(PdfReader(path).pages for path in documents)


def test_an_edition_takes_documents_and_ends_with_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLPRINT_INGEST_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    documents = prepare(tmp_path / "documents", None)[:2]
    with running("embedded", tmp_path) as suite:
        working = sum(processor_within(suite, documents).values())
        assert working > 0.05
        assert sum(processor_idle(suite, 2.0).values()) < working
        process = suite.process
        os.kill(process, 0)
    assert os.environ["SMALLPRINT_INGEST_DATABASE_URL"] == "sqlite:////nowhere/at/all.db"
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
