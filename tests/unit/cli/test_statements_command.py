"""The command `smallprint statements`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.builders import invoke, lines
from tests.unit.triage.reading import equity_samples, samples
from tests.unit.triage.reading.test_instances import LABELS, PRESENTATION


def run(*arguments: object) -> tuple[int, str]:
    """The exit code and standard output of the command."""
    result = invoke("statements", *arguments)
    return int(result.return_value or 0), result.stdout


def test_a_page_is_printed_in_the_form_that_triage_takes(tmp_path: Path) -> None:
    page = tmp_path / "acme.html"
    page.write_bytes(samples.html())

    code, out = run(page, "--json")

    (line,) = lines(out)
    (statement,) = line["statements"]
    total = next(row for row in statement["rows"] if row["label"] == "Total revenue")
    assert code == 0
    assert (line["id"], line["period"]) == ("acme", "20230630")
    assert statement["columns"] == [
        {"end": "20230630", "quarters": 4},
        {"end": "20220630", "quarters": 4},
    ]
    assert total["values"] == [1_500_000_000, 1_250_000_000]
    assert [place["cell"] for place in total["places"]] == ["C6", "F6"]
    assert line["warnings"] == []


def test_a_person_sees_a_table(tmp_path: Path) -> None:
    page = tmp_path / "acme.txt"
    page.write_bytes(samples.plain())

    code, out = run(page)

    assert code == 0
    lines = out.splitlines()
    assert any(line.split() == ["year", "to"] * 2 for line in lines)
    assert any(line.split() == ["2023-06-30", "2022-06-30"] for line in lines)
    assert "1,500,000,000" in out

    _, out = run(page, "--scale", "millions")
    assert "(amounts and shares in millions)" in out
    assert "1,500.0 " in out
    assert "1,500,000,000" not in out


def test_a_statement_of_equity_is_shown_by_component(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    page = tmp_path / "acme.pdf"
    page.write_bytes(equity_samples.pdf())

    code, out = run(page, "--concepts")
    _, lines = run(page, "--json")

    shown = out.splitlines()
    net = [line.split()[2:] for line in shown if "Net income" in line]
    end = [line.split()[4:] for line in shown if "Balance, December 31, 2023" in line]
    assert code == 0
    assert max(map(len, shown)) <= 100
    assert net[-4] == ["year", "to", "2022-12-31", "0", "0", "0"]
    assert net[-2] == ["0", "40,000,000", "40,000,000"]
    assert end[-2] == ["2023-12-31", "100,000,000", "10,000,000", "105,000,000"]
    assert end[-1][-1] == "450,000,000"
    equity = json.loads(lines)["statements"][-1]
    assert equity["statement"] == "equity"
    assert not any("concept" in row for row in equity["rows"])


def test_one_that_cannot_be_read_is_a_warning_of_both_commands(tmp_path: Path) -> None:
    page, without = tmp_path / "acme.html", tmp_path / "less" / "acme.html"
    without.parent.mkdir()
    page.write_bytes(equity_samples.html(heads=False))
    without.write_bytes(equity_samples.html(()))

    _, shown = run(page, "--json")
    judged, other = (json.loads(invoke("triage", one, "--json").stdout) for one in (page, without))

    (warning,) = [one for one in json.loads(shown)["warnings"] if equity_samples.TITLE in one]
    assert warning in judged["warnings"]
    assert [one for one in judged["warnings"] if one != warning] == other["warnings"]
    same = ("risk", "flagged", "findings", "signals")
    assert [judged[key] for key in same] == [other[key] for key in same]


@pytest.mark.parametrize(("columns", "lines"), [("100", 2), ("70", 3)])
def test_a_long_label_is_broken_and_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str, lines: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    label = "Income before income taxes and equity in net earnings of affiliated companies"
    rows = [
        (label if line.startswith("Income before") else line, *r) for line, *r in samples.INCOME
    ]
    page = tmp_path / "acme.html"
    page.write_bytes(samples.html(rows))

    _, out = run(page)

    shown = out.splitlines()
    first = next(number for number, line in enumerate(shown) if "Income before" in line)
    words = " ".join(" ".join(shown[first : first + lines]).split())
    assert words == f"{label} 550,000,000 450,000,000"[: len(words)]
    assert max(map(len, shown[2:])) <= int(columns)


def test_columns_that_do_not_fit_follow_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    page = tmp_path / "acme.html"
    page.write_bytes(samples.html())

    _, out = run(page)

    totals = [line.split()[2:] for line in out.splitlines() if "Total revenue" in line]
    assert totals == [["1,500,000,000"], ["1,250,000,000"]]


def test_each_line_has_its_concept(tmp_path: Path) -> None:
    page = tmp_path / "acme.txt"
    page.write_bytes(samples.plain())

    _, out = run(page, "--json")
    _, table = run(page, "--concepts")
    _, bare = run(page)

    rows = [row for one in json.loads(out)["statements"] for row in one["rows"]]
    net = next(row for row in rows if row["label"].startswith("Net income"))
    assert net["concept"]["name"] in ("NetIncomeLoss", "ProfitLoss")
    assert 0 < net["concept"]["confidence"] <= 1
    assert all(("concept" in row) != bool(row.get("heading")) for row in rows)
    named = f"= {net['concept']['name']} {net['concept']['confidence']:.0%}"
    shown = [line.strip() for line in table.splitlines()]
    assert shown[shown.index(named) - 1].startswith(net["label"])
    assert net["concept"]["name"] not in bare


def test_a_letter_is_an_error_that_says_what_is_missing(tmp_path: Path) -> None:
    letter, page = tmp_path / "letter.txt", tmp_path / "acme.pdf"
    letter.write_text("Dear holder,\n\nwe have moved.\n")
    page.write_bytes(samples.pdf())

    code, out = run(letter, page, "--json")

    first, second = lines(out)
    assert code == 1
    assert first["source"] == str(letter)
    assert "No financial statements found." in first["error"]["detail"]
    assert second["statements"]


def test_an_instance_asks_for_its_presentation(tmp_path: Path) -> None:
    instance = tmp_path / "acme-2023.xml"
    instance.write_text(
        '<xbrl xmlns="http://www.xbrl.org/2003/instance" xmlns:us-gaap="http://us-gaap/2022">'
        '<context id="a"><entity><identifier scheme="x">1</identifier></entity><period>'
        "<startDate>2022-07-01</startDate><endDate>2023-06-30</endDate></period></context>"
        '<unit id="u"><measure>iso4217:USD</measure></unit>'
        '<us-gaap:ProfitLoss contextRef="a" unitRef="u">440</us-gaap:ProfitLoss>'
        '<us-gaap:PaymentsOfDividends contextRef="a" unitRef="u">330</us-gaap:PaymentsOfDividends>'
        "</xbrl>"
    )

    alone, output = run(instance, "--json")
    (tmp_path / "acme-2023_pre.xml").write_bytes(PRESENTATION)
    (tmp_path / "acme-2023_lab.xml").write_bytes(LABELS)
    beside, out = run(instance, "--json")

    rows = json.loads(out)["statements"][0]["rows"]
    assert alone == 2
    assert "_pre.xml" in json.loads(output)["error"]["detail"]
    assert beside == 0
    assert [(row["label"], row["values"]) for row in rows[1:]] == [
        ("Profit loss", [440]),
        ("Dividends", [-330]),
    ]
