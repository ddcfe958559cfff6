"""How many documents a second each edition bears, how long they take at shares of that, and what
happens above it: `make load`.

    python -m infra.load [--sources FOLDER] [--seconds 60] [--editions embedded full] [--room 40]
        [--shares 0.5 0.8 1.0 1.2 2.0] [--steady SECONDS] [--out infra/capacity.md]

The generator is Locust, in an environment of its own (`make load` builds it). First eight documents
are always on their way: how many end a second is the capacity. Then documents come by chance
(Poisson) at shares of it, each share until all that was accepted has ended. The documents are the
shorter half of the original PDFs below FOLDER (made ones without it), each sent again and again as
new bytes. So many documents may be in work (`--room`), which is what answers 429 above capacity.

Plumbing is what the suite takes of the processor for a document beyond what `smallprint extract`
takes for the same documents: uploads, events, databases, review items, pages.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

from infra.bench.legal import made_text
from infra.bench.pages import pdf_of
from infra.load.edition import COMMAND, ROOM, Running, running
from infra.load.report import write
from infra.load.watching import Memory, taken_by
from infra.postgres.cluster import ClusterError
from infra.run_kafka import StartError, tell

LOCUST = Path("var/venv-load/bin/locust")
ON_THEIR_WAY = 8
"""Documents with which capacity is measured."""
WARM = 0.25
"""The first part of that time, which is not counted."""
DRAIN = 240.0


@dataclass(frozen=True)
class Phase:
    """What came of one share of the capacity.

    Times are in seconds, sizes in bytes; `took` is from the first byte sent to the answer that it
    has ended, of each document that ended.
    """

    share: float
    rate: float
    seconds: float
    sent: int
    statuses: dict[int, int]
    outcomes: dict[str, int]
    took: list[float]
    answered: list[float]
    lost: int
    """Accepted, and not ended in `DRAIN` seconds."""
    processor: float
    resident: tuple[int, int, int]
    """At the beginning, at most, at the end."""

    def percentile(self, of: Sequence[float], share: float) -> float | None:
        """The smallest value that this share of all does not exceed; None of none."""
        found = sorted(of)
        return found[max(0, ceil(share * len(found) - 1e-9) - 1)] if found else None


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write. Exit code 1 if an accepted document did not end."""
    parser = argparse.ArgumentParser(prog="python -m infra.load", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sources", type=Path, help="folder of PDFs")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a share (%(default)g)")
    parser.add_argument("--editions", nargs="+", default=["embedded", "full"])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.5, 0.8, 1.0, 1.2, 2.0])
    parser.add_argument("--room", type=int, default=40, help="documents in work (%(default)s)")
    parser.add_argument("--steady", type=float, default=0.0, help="seconds at 80%% for memory")
    parser.add_argument("--out", type=Path, help="page to write")
    options = parser.parse_args(arguments)
    if options.room < ON_THEIR_WAY:
        parser.error(f"--room is at least {ON_THEIR_WAY}: so many documents measure the capacity")
    if not LOCUST.exists():
        print(f"load: {LOCUST} is missing: run `make load`, which builds it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="smallprint-load-") as name:
        folder = Path(name)
        documents = prepare(folder / "documents", options.sources)
        if not documents:
            print(f"load: there are fewer than two PDFs below {options.sources}", file=sys.stderr)
            return 1
        said = _said(documents, options)
        tell(said)
        alone = processor_alone(documents)
        tell(f"{alone:.2f} s of the processor for one, by `smallprint extract`")
        found: dict[str, tuple[float, list[Phase]]] = {}
        try:
            for edition in options.editions:
                with running(edition, folder, {ROOM: str(options.room)}) as suite:
                    found[edition] = _measure(suite, folder, documents[0].parent, options)
        except (StartError, ClusterError) as error:
            print(f"load: {error}", file=sys.stderr)
        page = write(found, alone, said)
    print(page)
    if options.out and found:
        options.out.write_text(page, encoding="utf-8")
    if len(found) < len(options.editions):
        return 1
    phases = [phase for _, some in found.values() for phase in some]
    return int(any(phase.lost for phase in phases))


def prepare(folder: Path, sources: Path | None) -> list[Path]:
    """The documents that are sent, in a folder of their own."""
    folder.mkdir(parents=True)
    if sources is None:
        some = [pdf_of(made_text(tokens)) for tokens in range(1000, 9000, 400)]
    else:
        files = sorted(sources.rglob("*.pdf"), key=_size)
        some = [path.read_bytes() for path in files[: len(files) // 2]]
    for number, data in enumerate(some):
        (folder / f"{number:03d}.pdf").write_bytes(data)
    return sorted(folder.iterdir())


def joined(lines: Iterable[str]) -> list[dict[str, Any]]:
    """What was told of each upload, in order: its answer, and its end if it came to one."""
    uploads: list[dict[str, Any]] = []
    by_id: dict[str, dict[str, Any]] = {}
    for line in lines:
        told = json.loads(line)
        if "status" in told:
            uploads.append(told)
            by_id |= {told["id"]: told} if "id" in told else {}
        else:
            by_id[told["id"]] |= told
    return uploads


def processor_alone(documents: Sequence[Path]) -> float:
    """Seconds of the processor that one document takes without the suite, start not counted."""
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


def _measure(
    suite: Running, folder: Path, documents: Path, options: argparse.Namespace
) -> tuple[float, list[Phase]]:
    """The capacity in documents a second, and each share of it."""
    run = Run(suite, folder, documents)
    run.phase(0.0, 0.0, 10.0)  # what is made at the first document is made
    capacity = run.capacity(options.seconds)
    tell(f"capacity {capacity:.2f} documents a second")
    phases = []
    steady = [(0.8, options.steady)] if options.steady else []
    for share, seconds in [*((share, options.seconds) for share in options.shares), *steady]:
        phases.append(run.phase(share, share * capacity, seconds))
        done = phases[-1]
        tell(f"{share:.0%} for {seconds:g} s: {done.statuses}, {done.outcomes}, lost {done.lost}")
    return capacity, phases


@dataclass(frozen=True)
class Run:
    """Locust against one edition."""

    suite: Running
    folder: Path
    documents: Path

    def capacity(self, seconds: float) -> float:
        """Documents that end a second while some are always on their way."""
        told, _ = self._locust(0.0, seconds)
        begin: float = min(one["began"] for one in told)
        since, until = begin + WARM * seconds, begin + seconds
        ended: int = sum(since < one.get("ended", 0.0) <= until for one in told)
        return ended / (1 - WARM) / seconds

    def phase(self, share: float, rate: float, seconds: float) -> Phase:
        """Documents that come at a rate, until all have ended."""
        before = taken_by(self.suite.process)
        with Memory(self.suite.process) as memory:
            told, took = self._locust(rate, seconds)
        after = taken_by(self.suite.process)
        ended = [one for one in told if "ended" in one]
        return Phase(
            share=share,
            rate=rate,
            seconds=took,
            sent=len(told),
            statuses=dict(Counter(one["status"] for one in told)),
            outcomes=dict(Counter(one["outcome"] for one in ended)),
            took=[one["ended"] - one["began"] for one in ended],
            answered=[one["answered"] - one["began"] for one in told if one["status"] == 202],
            lost=sum(one["status"] == 202 and "ended" not in one for one in told),
            processor=after.seconds - before.seconds,
            resident=(before.resident, max(memory.seen, default=0), after.resident),
        )

    def _locust(self, rate: float, seconds: float) -> tuple[list[dict[str, Any]], float]:
        told = self.folder / "told.jsonl"
        told.write_text("")
        users = 1 if rate else ON_THEIR_WAY
        began = time.monotonic()
        done = subprocess.run(
            [
                *(str(LOCUST), "-f", "infra/load/locustfile.py", "--headless", "--only-summary"),
                *("--host", self.suite.url, "--users", str(users), "--spawn-rate", str(users)),
                *("--run-time", f"{seconds:g}s", "--stop-timeout", f"{DRAIN:g}"),
                *("--exit-code-on-error", "0", "--loglevel", "WARNING"),
            ],
            env={
                **os.environ,
                "LOAD_DOCUMENTS": str(self.documents),
                "LOAD_KEY": self.suite.key,
                "LOAD_TOLD": str(told),
                "LOAD_RATE": f"{rate:g}",
                "LOAD_DRAIN": f"{DRAIN:g}",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartError(f"Locust failed: {done.stderr[-500:]}")
        return joined(told.read_text().splitlines()), time.monotonic() - began


def _size(path: Path) -> int:
    return path.stat().st_size


def _said(documents: Sequence[Path], options: argparse.Namespace) -> str:
    sort = "original contracts (PDF)" if options.sources else "made contracts (PDF)"
    size = statistics.mean(map(_size, documents)) / 1000
    return (
        f"{len(documents)} {sort} of {size:,.0f} kB on average, "
        f"{os.cpu_count()} processors ({platform.machine()}), {options.seconds:g} s a share, "
        f"{options.room} documents may be in work, {time.strftime('%Y-%m-%d')}"
    )


if __name__ == "__main__":
    sys.exit(main())
