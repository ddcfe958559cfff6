"""What is printed of raw filings is what the command says of them, and lower."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from infra.evaluate_raw import Levels, Looker, details, drawn, main, table
from services.cli.judging import Reports
from services.cli.reading import open_reader
from tests.unit.triage.reading import samples

WORDS = (
    "<p>Our auditors have expressed substantial doubt about our ability to continue as a going "
    "concern, and we expect to incur losses.</p></body>"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Raw files of our own: a sound page, one with an altered total, one that says nothing."""
    raw = tmp_path / "finance" / "raw"
    for kind in ("pdf", "html"):
        (raw / kind).mkdir(parents=True)
    (raw / "pdf" / "sound.pdf").write_bytes(samples.pdf())
    bent = samples.html(samples.bent()).replace(b"</body>", WORDS.encode())
    (raw / "html" / "bent.html.gz").write_bytes(gzip.compress(bent))
    (raw / "html" / "words.htm.gz").write_bytes(gzip.compress(b"<p>Nothing is reported here.</p>"))
    (raw / "html" / "left.txt.gz").write_bytes(gzip.compress(b"text is neither"))
    entries: list[dict[str, object]] = [
        {"file": "raw/pdf/sound.pdf", "cik": 1, "same_filing_statement_ids": []},
        {"file": "raw/html/bent.html.gz", "cik": 2, "same_filing_statement_ids": ["a"]},
    ]
    for name, some in (("raw_manifest.jsonl", entries), ("statements.jsonl", [{"cik": 1}])):
        text = "".join(json.dumps(one) + "\n" for one in some)
        (tmp_path / "finance" / name).write_text(text)
    return tmp_path


def test_the_same_seed_draws_the_same_files(folder: Path) -> None:
    """Half of each kind; what is neither PDF nor HTML is none."""
    names = [path.name for path in drawn(folder / "finance", 20, 1)]
    assert names == ["sound.pdf", "bent.html.gz", "words.htm.gz"]
    some = [drawn(folder / "finance", 2, seed) for seed in (1, 1, 2, 3, 4)]
    assert [path.parent.name for path in some[0]] == ["pdf", "html"]
    assert some[0] == some[1]
    assert len({one[1] for one in some}) == 2


def test_what_is_said_of_a_file_is_what_the_command_says(folder: Path, tmp_path: Path) -> None:
    """Risk, findings with places and flags; below what the command tells there may be more."""
    path = folder / "finance" / "raw" / "html" / "bent.html.gz"
    plain = tmp_path / "bent.html"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    with Reports() as reports:
        (line,) = reports.file(str(plain))
    with open_reader() as reader:
        looker = Looker.over(folder / "finance", reader, 0.01)
        (looked,) = looker.look(path)

    told = [one for one in looked.findings if one.confidence >= looker.levels.told]
    assert [one.to_json() for one in told] == line["findings"] != []
    assert looked.risk == line["risk"]
    assert [one.to_json() for one in looked.flags] == line["narrative_flags"] != []
    odd = [one for one in line["signals"] if one["level"] != "usual"]
    assert [one.to_json() for one in looked.signals] == odd
    assert looked.learned == "itself"
    said = list(details(looked, looker.levels))
    assert any(one.startswith("finding ") and "page 1, " in one for one in said)
    assert any("substantial doubt" in one for one in said)


def test_a_level_is_the_strictest_that_flags() -> None:
    """Lower ones are those of the risks of sound filings."""
    levels = Levels({"as shipped": 0.9, "5%": 0.6, "10%": 0.4}, told=0.6)
    firsts = [levels.first(chance) for chance in (0.95, 0.9, 0.7, 0.5, 0.1)]
    assert firsts == ["as shipped", "as shipped", "5%", "10%", "no"]


def test_every_file_has_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One without statements says so; a company that was learned from is named."""
    assert main([str(folder), "--only", "o"]) == 0
    lines = capsys.readouterr().out.splitlines()
    sound = next(line for line in lines if line.startswith("| sound.pdf"))
    words = next(line for line in lines if line.startswith("| words.htm"))
    assert "| company | 1 | " in sound
    assert "income 13x2" in sound
    assert "| no | 1 | none: " in words


def test_no_line_is_printed_for_no_file() -> None:
    """The head alone."""
    assert len(table([], Levels({}, 0.5)).splitlines()) == 2
