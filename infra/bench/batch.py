"""How much memory `smallprint batch` takes, however many files a folder has.

    python -m infra.bench.batch [--files 1000 10000 100000]

For each number makes a folder of so many small texts, runs the command on it in a process of its
own, and prints the files, the receipts, the seconds, and the most resident memory that the process
ever had (Linux only). What reads a file and finds its clauses is a stand-in that gives each the
same clause, for those take the same memory whatever the number of files; all else is the command
as it ships: the list of files, claims, receipts, progress and summary.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.cli import cli, folders
from shared.cli.batch import Work
from shared.cli.files import Results, files_below

IN_ONE_FOLDER = 1000


def fill(folder: Path, files: int) -> None:
    """Write so many different texts, some in each folder."""
    for number in range(files):
        path = folder / f"{number // IN_ONE_FOLDER:04d}" / f"contract-{number:06d}.txt"
        if number % IN_ONE_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_text(f"{number}. This Agreement is governed by the laws of Delaware.")


@contextmanager
def stand_in(
    adapters: Sequence[str],  # noqa: ARG001
    password: str | None,  # noqa: ARG001
) -> Iterator[Work]:
    """In the place of the readers and specialists; whatever is asked of those."""

    def result(source: str, data: bytes) -> Mapping[str, Any]:
        text = data.decode()
        clause = {"category": "Governing Law", "text": text, "start": 0, "end": len(text)}
        return {"source": source, "clauses": [{**clause, "page": 1, "confidence": 0.9}]}

    yield Work(1_000_000, lambda _source, _data: "stand-in", result)


def work(folder: str, out: str) -> None:
    """The command, in this process; prints its peak of memory in megabytes and its seconds."""
    folders.documents_of_all_kinds = stand_in
    began = time.process_time()
    cli.main(["batch", folder, "--out", out, "--json"], standalone_mode=False)
    used = time.process_time() - began
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    most = round(int(found[1]) / 1024) if found else 0
    print(json.dumps({"megabytes": most, "seconds": round(used, 1)}), file=sys.stderr)


def measure(files: int) -> dict[str, Any]:
    """What one folder took."""
    with tempfile.TemporaryDirectory(prefix="smallprint-bench-batch-") as name:
        inputs, out = Path(name, "in"), Path(name, "out")
        fill(inputs, files)
        command = [sys.executable, "-m", "infra.bench.batch", "--work", str(inputs), str(out)]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True
        )
        receipts = sum(1 for path in files_below(str(out)) if Path(path).name != Results.SUMMARY)
        summary = json.loads((out / Results.SUMMARY).read_bytes())
    return {
        "files": files,
        "worked": summary["worked"],
        "receipts": receipts,
        **json.loads(done.stderr.splitlines()[-1]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line for each number of files."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench.batch", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--work", nargs=2, metavar=("FOLDER", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        work(*options.work)
        return 0
    for files in options.files:
        print(json.dumps(measure(files)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
