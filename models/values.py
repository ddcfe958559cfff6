"""Score the values of clauses on annotated contracts: how often are they those that experts gave?

    python -m models.values models/contract-clauses --data FOLDER
    python -m models.values models/contract-clauses --data FOLDER --fold 2

The first form scores the folds that the rules were developed on (1 to 4) and the one that was kept
apart (0), and writes `values.json`; the second prints one fold. The clauses are the experts' own
spans, so that only the step from clause to value is measured.

How answers are compared, exactly, one contract and category at a time:

* Dates: the answer `m/d/y` as ISO 8601, with blanks (`[]/[]/2012`) to the part that is left
  (`2012`; `redacted` if none), or `perpetual`. A date that was computed (the end of a term) counts
  as one that was found. `iso` is the same over the full dates of `answers_iso`.
* Durations: the answer as ISO 8601 by the same grammar that reads clauses, a year being twelve
  months (but 90 days are not three months); of several, the first that we give must be one.
  `repeats` compares whether renewals follow one another, where the duration is right.
* Law: the sets of jurisdictions are equal, each under its one name (`Province of Ontario, Canada`
  and `Ontario` are one; so are `England` and `England and Wales`).
* Document name: letters and digits are the same, in lower case; a
  name in several parts is all of them.
* Parties: the sets of names are equal (letters and digits, in lower case). Besides, precision and
  recall of names, and how often a right name has the right role.

A blank answer beside a span (`blank`) says that the experts found no value in it: counted is how
often we give none either. Categories that are answered by Yes or No only (warranty duration,
amounts) have counts: in how many contracts with a clause something is stated, or was redacted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.corpus import read_records
from services.extraction.values import CATEGORIES, DocumentValue, Located, document_values
from services.extraction.values.dates import find_dates
from services.extraction.values.durations import find_durations
from services.extraction.values.law import jurisdictions
from services.extraction.values.parties import key
from services.extraction.values.value import Plain

DEVELOPED, APART = (1, 2, 3, 4), (0,)
DATES = ("Agreement Date", "Effective Date", "Expiration Date")
DURATIONS = ("Renewal Term", "Notice Period To Terminate Renewal")
ANSWERED = ("Document Name", "Parties", *DATES, *DURATIONS, "Governing Law")
_NAMED = re.compile(r'\s*(?P<name>[^;"“”(]*[^;"“”(\s])\s*\(?\s*(?:["“](?P<role>[^"“”]+)["”])?')


def values_of(record: dict[str, Any]) -> dict[str, list[DocumentValue]]:
    """Apply the served functions to a contract's annotated spans."""
    clauses = [
        Located(str(i), note["category"], 1.0, note["start"], note["text"])
        for i, note in enumerate(record["annotations"])
    ]
    found: dict[str, list[DocumentValue]] = defaultdict(list)
    for line in document_values(clauses):
        found[line.category].append(line)
    return found


# --- answers ------------------------------------------------------------------------------------


def date_answer(answer: str) -> str:
    """`3/1/05` is `2005-03-01`, `[]/[]/2012` is `2012`, `[]/[]/[]` is `redacted`."""
    if answer.strip().lower() == "perpetual":
        return "perpetual"
    dates = find_dates(Plain(answer.replace("[][]", "[]")))
    return (dates[0].value or "redacted") if dates else answer


def duration_answer(answer: str) -> list[str]:
    """`successive 1 year` is `P1Y`."""
    if answer.strip().lower() == "perpetual":
        return ["perpetual"]
    times = re.sub(r"^\s*\d+\s+(?=(?:successive\s+)?\d)", "", answer)
    return [spot.value or "redacted" for spot in find_durations(Plain(times))] or [answer]


def law_answer(answer: str) -> set[str]:
    """Every jurisdiction of an answer by its one name."""
    named = set(jurisdictions(answer))
    return named or ({answer} if any(c.isalpha() for c in answer) else {"redacted"})


def party_answer(answer: str) -> dict[str, str]:
    """Names and roles of `Acme, Inc. ("Acme"); Bolt Ltd.`, those about all of them left out."""
    parties: dict[str, str] = {}
    for part in answer.split(";"):
        if (match := _NAMED.match(part)) and (name := key(match["name"])):
            role = key(re.sub(r"^the ", "", match["role"] or "", flags=re.IGNORECASE))
            if role not in ("party", "parties") and not name.startswith("eachof"):
                parties.setdefault(name, role)
    return parties


# --- comparing ----------------------------------------------------------------------------------


def given(line: DocumentValue) -> str | None:
    """What we say of a category in one word."""
    value = line.computed or line.value.value
    return value or ("redacted" if line.value.status == "redacted" else None)


def compare(category: str, answer: str, lines: list[DocumentValue]) -> bool:
    """Whether our values of a contract are the experts' answer."""
    first = given(lines[0])
    if category in DATES:
        return first == date_answer(answer)
    if category in DURATIONS:
        return _months(first) in map(_months, duration_answer(answer))
    if category == "Parties":
        return {key(line.value.value) for line in lines if line.value.value} == set(
            party_answer(answer)
        )
    if category == "Governing Law":
        return {given(line) for line in lines} == law_answer(answer)
    parts = sorted(lines, key=lambda line: line.value.start or 0)
    return key(answer) in (key(first or ""), "".join(key(given(line) or "") for line in parts))


def _months(duration: str | None) -> str | None:
    """`P1Y6M` as `P18M`; what is not of years and months as it is."""
    parts = re.fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?", duration or "")
    return f"P{int(parts[1] or 0) * 12 + int(parts[2] or 0)}M" if parts else duration


def score(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count every category: answered contracts, exact matches, and what goes with them."""
    counts: dict[str, Counter[str]] = {category: Counter() for category in CATEGORIES}
    for record in records:
        found = values_of(record)
        spanned = {note["category"] for note in record["annotations"]}
        for category, count in counts.items():
            if category in spanned:
                _count(count, category, record, found[category])
    return {category: _summary(count) for category, count in counts.items()}


def _count(
    count: Counter[str], category: str, record: dict[str, Any], lines: list[DocumentValue]
) -> None:
    count["contracts"] += 1
    count[lines[0].value.status] += 1
    answer = record["answers"][category]
    if category not in ANSWERED:
        return
    if not answer:
        count["blank"] += 1
        count["blank_none"] += given(lines[0]) in (None, "redacted")
        return
    right = compare(category, answer, lines)
    count["answered"] += 1
    count["right"] += right
    if iso := record["answers_iso"].get(category):
        count["iso"] += 1
        count["iso_right"] += given(lines[0]) == iso
    if category == "Renewal Term" and right and given(lines[0]) != "perpetual":
        count["repeats"] += 1
        said = re.search("succ?es", answer, re.IGNORECASE) is not None
        count["repeats_right"] += lines[0].value.repeats is said
    if category == "Parties":
        _count_parties(count, party_answer(answer), lines)


def _count_parties(count: Counter[str], answer: dict[str, str], lines: list[DocumentValue]) -> None:
    ours = {key(v.value): key(v.role or "") for v in (line.value for line in lines) if v.value}
    both = ours.keys() & answer.keys()
    count["names_answered"] += len(answer)
    count["names_given"] += len(ours)
    count["names_right"] += len(both)
    count["roles_answered"] += sum(bool(answer[name]) for name in both)
    count["roles_right"] += sum(bool(answer[n]) and ours[n] == answer[n] for n in both)


def _summary(count: Counter[str]) -> dict[str, Any]:
    kept: dict[str, Any] = dict(sorted(count.items()))
    if count["answered"]:
        kept["exact"] = round(count["right"] / count["answered"], 4)
    if count["iso"]:
        kept["iso_exact"] = round(count["iso_right"] / count["iso"], 4)
    return kept


def table(scores: dict[str, Any]) -> str:
    """The figures of some contracts as text."""
    head = ("category", "contracts", "answered", "exact", "ISO", "exact", "blank", "none", "stated")
    rows = [head] + [
        (
            category,
            *(str(s.get(name, "")) for name in ("contracts", "answered")),
            _share(s, "exact"),
            str(s.get("iso", "")),
            _share(s, "iso_exact"),
            *(str(s.get(name, "")) for name in ("blank", "blank_none", "stated")),
        )
        for category, s in scores.items()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    text = "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows
    )
    p = scores["Parties"]
    names = (
        f"\nparty names: {p.get('names_right', 0)} right of {p.get('names_given', 0)} given and "
        f"{p.get('names_answered', 0)} answered; roles right for {p.get('roles_right', 0)} of "
        f"{p.get('roles_answered', 0)} right names with one"
    )
    r = scores["Renewal Term"]
    return f"{text}{names}\nrepeats: {r.get('repeats_right', 0)} right of {r.get('repeats', 0)}"


def _share(scores: dict[str, Any], name: str) -> str:
    return f"{scores[name]:.3f}" if name in scores else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("specialist", type=Path, help="folder of the specialist, for values.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the legal data")
    parser.add_argument("--fold", type=int, choices=range(5), help="print this fold alone")
    options = parser.parse_args(arguments)
    config = tomllib.loads((options.specialist / "config.toml").read_text(encoding="utf-8"))

    def records(folds: Sequence[int]) -> list[dict[str, Any]]:
        return list(read_records(options.data, config["data"], folds))

    if options.fold is not None:
        print(table(score(records((options.fold,)))))
        return 0
    figures: dict[str, dict[str, Any]] = {}
    for name, folds in (("folds 1-4, developed on", DEVELOPED), ("fold 0, kept apart", APART)):
        found = records(folds)
        figures[name] = {"contracts": len(found), "categories": score(found)}
        print(f"{name}: {len(found)} contracts\n{table(figures[name]['categories'])}\n")
    out = options.specialist / "values.json"
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
