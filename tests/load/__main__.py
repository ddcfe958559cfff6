"""Measure the capacity of each edition, latencies at shares of it, and overload: `make load`.

    python -m tests.load [--sources FOLDER] [--seconds 60] [--editions embedded full]
        [--shares 0.5 0.8 1.0 1.2 2.0] [--steady SECONDS] [--out var/capacity.md]

Locust generates the load, in a separate environment (`make load` builds it). With eight documents
always in work, the number that ends each second is the capacity. Then documents arrive at random
(Poisson) at shares of it, until all accepted ones have ended. The documents are the shorter half of
the PDFs below FOLDER (generated ones without it), always as new bytes. At most 40 are in work, so
requests above capacity get 429.

Overhead is the processor time of the suite for one document minus that of `smallprint extract`:
uploads, events, databases, review items, pages. It includes idle time for the duration of a
document; the idle load is also measured alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

import httpx

from infra.run_kafka import StartError, interrupt, print_line
from infra.servers.postgres import ClusterError
from tests.bench.legal import made_text
from tests.bench.pages import pdf_of
from tests.load.edition import COMMAND, ROOM, Running, running
from tests.load.phases import EditionResult, Phase, joined
from tests.load.report import write
from tests.load.resources import course, memory_of, usage_of

LOCUST = Path("var/venv-load/bin/locust")
IN_PROGRESS = 8  # documents with which capacity is measured
WARM = 0.25  # the first part of that time, which is not counted
LONG = 600.0  # from this duration in seconds on, memory is shown over time
DRAIN = 240.0
IDLE_SECONDS = 20.0  # seconds without load, to measure an idle suite


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write. Exit code 1 if an accepted document did not end, or a refused one
    got no Retry-After.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sources", type=Path, help="folder of PDFs")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each share (%(default)g)")
    parser.add_argument("--editions", nargs="+", default=["embedded", "full"])
    parser.add_argument("--shares", nargs="*", type=float, default=[0.5, 0.8, 1.0, 1.2, 2.0])
    parser.add_argument(
        "--steady", type=float, default=0.0, help="also measure memory at 80%% for so many seconds"
    )
    parser.add_argument("--out", type=Path, help="page to write")
    options = parser.parse_args(arguments)
    if not LOCUST.exists():
        print(f"load: {LOCUST} is missing: run `make load`, which builds it", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, interrupt)
    with tempfile.TemporaryDirectory(prefix="smallprint-load-") as name:
        folder = Path(name)
        documents = prepare(folder / "documents", options.sources)
        if not documents:
            print(f"load: fewer than two PDFs below {options.sources}", file=sys.stderr)
            return 1
        description = _describe(documents, options)
        print_line(description)
        alone = processor_alone(documents)
        print_line(f"{alone:.2f} processor seconds for a document, by `smallprint extract`")
        found: dict[str, EditionResult] = {}
        try:
            for edition in options.editions:
                with running(edition, folder) as suite:
                    found[edition] = _measure(suite, folder, documents, options)
        except (StartError, ClusterError) as error:
            print(f"load: {error}", file=sys.stderr)
        page = write(found, alone, description)
    print(page)
    if options.out and found:
        options.out.write_text(page, encoding="utf-8")
    if len(found) < len(options.editions):
        return 1
    phases = [phase for one in found.values() for phase in one.phases]
    return int(not all(phase.good for phase in phases))


def prepare(folder: Path, sources: Path | None) -> list[Path]:
    """Write the documents into a separate folder."""
    folder.mkdir(parents=True)
    if sources is None:
        some = [pdf_of(made_text(tokens)) for tokens in range(1000, 9000, 400)]
    else:
        files = sorted(sources.rglob("*.pdf"), key=_size)
        some = [path.read_bytes() for path in files[: len(files) // 2]]
    for number, data in enumerate(some):
        (folder / f"{number:03d}.pdf").write_bytes(data)
    return sorted(folder.iterdir())


def processor_alone(documents: Sequence[Path]) -> float:
    """Processor seconds of `smallprint extract` for one document, without its start."""
    first = documents[len(documents) // 2]
    again = first.with_name("again.pdf")
    again.write_bytes(first.read_bytes() + b"\n% again\n")
    try:
        start = 2 * _extract([first]) - _extract([first, again])
    finally:
        again.unlink()
    return (_extract(list(documents)) - start) / len(documents)


def _extract(files: list[Path]) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(
        [COMMAND, "extract", *files, "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def processor_within(suite: Running, documents: Sequence[Path]) -> dict[str, float]:
    """Processor seconds of each part of the suite for one document. Documents are sent one after
    the other.

    Raises StartError if a document is not complete.
    """
    headers = {"authorization": f"Bearer {suite.key}"}
    before = usage_of(suite.process).parts
    with httpx.Client(base_url=suite.url, headers=headers, timeout=60, trust_env=False) as client:
        for path in documents:
            files, kind = {"file": (path.name, path.read_bytes())}, {"kind": "contract"}
            document = client.post("/v1/documents", files=files, data=kind).json()
            while document.get("state") not in (None, "ended"):
                document = client.get(f"/v1/documents/{document['id']}?wait=20").json()
            if document.get("outcome") != "complete":
                raise StartError(f"{path.name} is not complete: {document}")
    after = usage_of(suite.process).parts
    return {name: (after[name] - before.get(name, 0)) / len(documents) for name in after}


def processor_idle(suite: Running, seconds: float = IDLE_SECONDS) -> dict[str, float]:
    """Processor time per second of each part without load."""
    time.sleep(IDLE_SECONDS / 4)  # running work ends
    before, began = usage_of(suite.process).parts, time.monotonic()
    time.sleep(seconds)
    after, took = usage_of(suite.process).parts, time.monotonic() - began
    return {name: (after[name] - before.get(name, 0)) / took for name in after}


def _measure(
    suite: Running, folder: Path, documents: Sequence[Path], options: argparse.Namespace
) -> EditionResult:
    run = Run(suite, folder, documents[0].parent)
    run.phase(0.0, 0.0, 10.0)  # the first document initialises the suite
    idle = processor_idle(suite)
    print_line(f"{sum(idle.values()):.3f} processor seconds a second without load")
    each = processor_within(suite, documents)
    print_line(f"{sum(each.values()):.2f} processor seconds for a document, by the suite")
    capacity = run.capacity(options.seconds)
    print_line(f"capacity {capacity:.2f} documents a second")
    phases = []
    wanted = [(share, options.seconds) for share in options.shares]
    wanted += [(0.8, options.steady)] if options.steady else []
    for share, seconds in wanted:
        phases.append(run.phase(share, share * capacity, seconds))
        done = phases[-1]
        print_line(
            f"{share:.0%} for {seconds:g} s: {done.statuses}, {done.outcomes}, lost {done.lost}"
        )
        if done.without_retry_after:
            print_line(f"{done.without_retry_after} answers with 429 had no Retry-After")
        for reason in done.reasons:
            print_line(f"not complete: {reason}")
    return EditionResult(capacity, each, phases, idle)


@dataclass(frozen=True)
class Run:
    """Runs Locust against one edition."""

    suite: Running
    folder: Path
    documents: Path

    def capacity(self, seconds: float) -> float:
        """Measure how many documents end per second while some are always in work."""
        uploads, _ = self._locust(0.0, seconds)
        begin: float = min(one["began"] for one in uploads)
        since, until = begin + WARM * seconds, begin + seconds
        ended: int = sum(since < one.get("ended", 0.0) <= until for one in uploads)
        return ended / (1 - WARM) / seconds

    def phase(self, share: float, rate: float, seconds: float) -> Phase:
        """Send documents at a rate, and wait until all have ended."""
        before = usage_of(self.suite.process).memory
        with memory_of(self.suite.process) as seen:
            uploads, took = self._locust(rate, seconds)
        after = usage_of(self.suite.process).memory
        long = seen if seconds >= LONG else []
        totals = [sum(one.values()) for one in seen]
        names = {name for one in long for name in one}
        ended = [one for one in uploads if "ended" in one]
        accepted = [one for one in uploads if one["status"] == 202]
        return Phase(
            share=share,
            rate=rate,
            seconds=took,
            sent=len(uploads),
            statuses=dict(Counter(one["status"] for one in uploads)),
            outcomes=dict(Counter(one["outcome"] for one in ended)),
            took=[one["ended"] - one["began"] for one in ended],
            answered=[one["answered"] - one["began"] for one in accepted],
            lost=len(accepted) - len(ended),
            memory=(before, max(totals, default=before), after),
            course=course(totals) if long else (),
            by_part={name: course([one.get(name, 0) for one in long]) for name in names},
            retry_after=tuple(
                float(one.get("retry-after") or "inf") for one in uploads if one["status"] == 429
            ),
            reasons=tuple(reason for one in ended for reason in one["reasons"]),
        )

    def _locust(self, rate: float, seconds: float) -> tuple[list[dict[str, Any]], float]:
        records = self.folder / "records.jsonl"
        records.write_text("")
        users = 1 if rate else IN_PROGRESS
        began = time.monotonic()
        done = subprocess.run(
            [
                *(str(LOCUST), "-f", "tests/load/locustfile.py", "--headless", "--only-summary"),
                *("--host", self.suite.url, "--users", str(users), "--spawn-rate", str(users)),
                *("--run-time", f"{seconds:g}s", "--stop-timeout", f"{DRAIN:g}"),
                *("--exit-code-on-error", "0", "--loglevel", "WARNING"),
            ],
            env={
                **os.environ,
                "LOAD_DOCUMENTS": str(self.documents),
                "LOAD_KEY": self.suite.key,
                "LOAD_RECORDS": str(records),
                "LOAD_RATE": f"{rate:g}",
                "LOAD_DRAIN": f"{DRAIN:g}",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartError(f"Locust failed: {done.stderr[-500:]}")
        return joined(records.read_text().splitlines()), time.monotonic() - began


def _size(path: Path) -> int:
    return path.stat().st_size


def _describe(documents: Sequence[Path], options: argparse.Namespace) -> str:
    kind = "original contracts (PDF)" if options.sources else "generated contracts (PDF)"
    size = statistics.mean(map(_size, documents)) / 1000
    return (
        f"{len(documents)} {kind} of {size:,.0f} kB on average, "
        f"{os.cpu_count()} processors ({platform.machine()}), {options.seconds:g} s a share, "
        f"at most {ROOM} documents in progress, {time.strftime('%Y-%m-%d')}"
    )


if __name__ == "__main__":
    sys.exit(main())
