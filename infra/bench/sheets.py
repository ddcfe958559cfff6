"""Measures what reads workbooks: processor time, memory, values; ours beside two libraries.

    SMALLPRINT_TEST_DATA=FOLDER python -m infra.bench.sheets [--lines 500000]

Each engine reads a made sheet of so many lines of eight cells (dates, texts, amounts in
parentheses, percent, booleans) in a process of its own, and every real workbook of the data.
python-calamine is measured where it is installed. Decision: infra/decisions/0011-workbooks.md.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.util
import io
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ENGINES = ("ours", "openpyxl", "calamine")


def make(path: Path, lines: int) -> None:
    """A ledger of so many lines."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    chance = random.Random(1)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Ledger")
    first = datetime.date(2020, 1, 1)
    formats = {"amount": "#,##0.00_);(#,##0.00)", "share": "0.0%", "day": "yyyy-mm-dd"}
    for line in range(lines):
        values: dict[str, Any] = {
            "day": first + datetime.timedelta(days=line % 1000),
            "account": f"A{line % 500:04d}",
            "words": f"Invoice {line} of customer {line % 977}",
            "amount": round(chance.uniform(-9e5, 9e5), 2),
            "units": line,
            "share": chance.random(),
            "paid": line % 2 == 0,
            "number": line,
        }
        cells = []
        for name, value in values.items():
            cell = WriteOnlyCell(sheet, value=value)
            cell.number_format = formats.get(name, "General")
            cells.append(cell)
        sheet.append(cells)
    book.save(path)


def ours(data: bytes) -> Iterator[object]:
    """Every cell as text in its format."""
    from shared.documents import Limits, read

    reading = read(data, limits=Limits(seconds=1e6, max_plain_text=10**9))
    yield from reading.cells["row"]


def openpyxl(data: bytes) -> Iterator[object]:
    """Every stored value; formats are known, but not applied; no merged cells, no hidden rows."""
    from openpyxl import load_workbook

    for sheet in load_workbook(io.BytesIO(data), read_only=True, data_only=True):
        for cells in sheet.rows:
            yield from (cell.value for cell in cells if cell.value is not None)


def calamine(data: bytes) -> Iterator[object]:
    """Every stored value; no formats, no formulas, no hidden rows."""
    book = importlib.import_module("python_calamine").load_workbook(io.BytesIO(data))
    for name in book.sheet_names:
        for values in book.get_sheet_by_name(name).iter_rows():
            yield from (value for value in values if value != "")


def measure(engine: str, paths: list[str]) -> None:
    """One line about one engine in this process."""
    read: Callable[[bytes], Iterator[object]] = globals()[engine]
    cells = 0
    start = time.process_time()
    for path in paths:
        cells += sum(1 for _ in read(Path(path).read_bytes()))
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{engine:9} {cells:>10,} cells {seconds:7.2f} s {peak:6.0f} MB", flush=True)


def main() -> None:
    """Print a line for each engine: cells that have a value, processor time, peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    if options.engine:
        measure(options.engine, options.paths)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "ledger.xlsx"
        make(made, options.lines)
        print(f"{options.lines:,} lines, {made.stat().st_size:,} bytes")
        _each([str(made)])
    data = os.environ.get("SMALLPRINT_TEST_DATA")
    if data:
        real = sorted(map(str, (Path(data) / "finance" / "raw" / "xlsx").glob("*.xlsx")))
        print(f"{len(real)} real workbooks")
        _each(real)


def _each(paths: list[str]) -> None:
    for engine in ENGINES:
        if engine == "calamine" and importlib.util.find_spec("python_calamine") is None:
            print("calamine  is not installed")
            continue
        command = [sys.executable, "-m", "infra.bench.sheets", "--engine", engine, *paths]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
