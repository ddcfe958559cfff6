"""A filing a line: as it streams, in order, and whatever else is in the file."""

from __future__ import annotations

import json
import os
import random
import threading
from pathlib import Path
from typing import Any

from services.cli.judging import Reports
from tests.unit.triage.filings import bent, record


def filings(count: int) -> list[bytes]:
    """Lines with sound and wrong filings, each with an id of its own."""
    made = []
    for number in range(count):
        amount = 4914 + number
        one = bent("balance_sheet", "Total current assets", 0, amount) if number % 2 else record()
        made.append(json.dumps({**one, "id": f"f{number}"}).encode() + b"\n")
    return made


def said(line: Any) -> dict[str, Any]:
    """A line without what it took."""
    return {key: value for key, value in line.items() if key not in ("timings", "source")}


def test_a_filing_is_judged_before_the_next_is_there(tmp_path: Path) -> None:
    """So no more than one is in memory: each comes through a pipe once the one before is out."""
    pipe = tmp_path / "filings.jsonl"
    os.mkfifo(pipe)
    lines, out, late = filings(6), threading.Semaphore(1), []

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for number, line in enumerate(lines):
                if not out.acquire(timeout=60):
                    late.append(number)
                file.write(line)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    found = []
    with Reports() as reports:
        for line in reports.file(str(pipe)):
            found.append(line["id"])
            out.release()
    writer.join(60)
    assert late == []
    assert found == [f"f{number}" for number in range(6)]


def test_a_filing_has_the_same_answer_whatever_else_is_there(tmp_path: Path) -> None:
    """By the specialist that ships, in any order, and alone."""
    lines, shuffled = filings(6), filings(6)
    random.Random(1).shuffle(shuffled)
    alone = tmp_path / "alone.json"
    answers = []
    with Reports() as reports:
        for name, some in (("a.jsonl", lines), ("b.jsonl", shuffled)):
            (tmp_path / name).write_bytes(b"".join(some))
            found = {line["id"]: said(line) for line in reports.file(str(tmp_path / name))}
            assert list(found) == [json.loads(line)["id"] for line in some]
            answers.append(found)
        assert answers[0] == answers[1]
        alone.write_bytes(lines[1])
        with Reports() as others:
            (line,) = others.file(str(alone))
    assert said(line) == answers[0]["f1"]
    assert line["flagged"]


def test_what_was_compared_with_nothing_warns(tmp_path: Path) -> None:
    """A history of another company is no quiet one."""
    earlier, now = tmp_path / "earlier.json", tmp_path / "now.json"
    earlier.write_text(json.dumps({**record(), "company": "Another Corp"}))
    now.write_text(json.dumps(record()))
    with Reports() as reports:
        assert list(reports.learn_history(str(earlier))) == ["1 earlier filing of 1 company"]
        (line,) = reports.file(str(now))
    (why,) = line["warnings"]
    assert why.startswith("nothing was compared with earlier filings: none is of this company")
    assert why.endswith("'Another Corp'")
