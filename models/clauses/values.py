"""Score the values that are read from annotated clauses against the experts' answers.

    python -m models.clauses.values models/clauses/contract-clauses --data FOLDER
    python -m models.clauses.values models/clauses/contract-clauses --data FOLDER --fold 2

The first form scores folds 1 to 4, which the rules were developed on, and fold 0, which no rule was
developed on, and writes `values.json`. The second prints one fold. The clauses are the experts' own
spans, so only the step from clause to value is measured. One contract and category at a time:

* Dates: `m/d/y` as ISO 8601; with blanks (`[]/[]/2012`) the known part (`2012`), or `redacted`, or
  `perpetual`. Computed dates, such as the end of a term, count. `iso` has the full dates of
  `answers_iso` only.
* Durations: as ISO 8601, by the grammar that reads clauses. A year is twelve months; 90 days are
  not three months. The first duration must be one of the answers. `repeats` compares whether
  renewals follow one another, if the duration is right.
* Law: equal sets of jurisdictions, with one name for each (`Province of Ontario, Canada` and
  `Ontario`; `England` and `England and Wales`).
* Document name: the same letters and digits in lower case; all parts of a name in several parts.
* Parties: equal sets of names (letters and digits, lower case); also precision and recall of
  names, and of roles of right names.

A blank answer with a span (`blank`) means that the experts found no value; counted is how often we
find none either. Categories with a Yes/No answer only have counts of stated and redacted values.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from models.corpus import read_records
from models.files import command, read_config, write_json
from services.extraction.values import CATEGORIES, ClauseContext, DocumentValue, document_values
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
        ClauseContext(str(i), note["category"], 1.0, note["start"], note["text"])
        for i, note in enumerate(record["annotations"])
    ]
    result: dict[str, list[DocumentValue]] = defaultdict(list)
    for line in document_values(clauses):
        result[line.category].append(line)
    return result


# --- answers ------------------------------------------------------------------------------------


def date_answer(answer: str) -> str:
    """Return an answer as a date: `3/1/05` is `2005-03-01`, `[]/[]/2012` is `2012`."""
    if answer.strip().lower() == "perpetual":
        return "perpetual"
    dates = find_dates(Plain(answer.replace("[][]", "[]")))
    return (dates[0].value or "redacted") if dates else answer


def duration_answer(answer: str) -> list[str]:
    """Return the durations of an answer: `successive 1 year` is `P1Y`."""
    if answer.strip().lower() == "perpetual":
        return ["perpetual"]
    times = re.sub(r"^\s*\d+\s+(?=(?:successive\s+)?\d)", "", answer)
    return [spot.value or "redacted" for spot in find_durations(Plain(times))] or [answer]


def law_answer(answer: str) -> set[str]:
    """Return the jurisdictions of an answer."""
    named = set(jurisdictions(answer))
    return named or ({answer} if any(c.isalpha() for c in answer) else {"redacted"})


def party_answer(answer: str) -> dict[str, str]:
    """Return names and roles of `Acme, Inc. ("Acme"); Bolt Ltd.`, without collective ones."""
    parties: dict[str, str] = {}
    for part in answer.split(";"):
        if (match := _NAMED.match(part)) and (name := key(match["name"])):
            role = key(re.sub(r"^the ", "", match["role"] or "", flags=re.IGNORECASE))
            if role not in ("party", "parties") and not name.startswith("eachof"):
                parties.setdefault(name, role)
    return parties


# --- comparing ----------------------------------------------------------------------------------


def given(line: DocumentValue) -> str | None:
    """Return a value as text, or `redacted`, or None."""
    value = line.computed or line.value.value
    return value or ("redacted" if line.value.status == "redacted" else None)


def compare(category: str, answer: str, lines: list[DocumentValue]) -> bool:
    """Return whether our values of a contract equal the experts' answer."""
    first = given(lines[0])
    if category in DATES:
        return first == date_answer(answer)
    if category in DURATIONS:
        return _months(first) in map(_months, duration_answer(answer))
    if category == "Parties":
        ours = {key(line.value.value) for line in lines if line.value.value}
        return ours == set(party_answer(answer))
    if category == "Governing Law":
        return {given(line) for line in lines} == law_answer(answer)
    parts = sorted(lines, key=lambda line: line.value.start or 0)
    return key(answer) in (key(first or ""), "".join(key(given(line) or "") for line in parts))


def _months(duration: str | None) -> str | None:
    """Return `P1Y6M` as `P18M`; other durations unchanged."""
    parts = re.fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?", duration or "")
    return f"P{int(parts[1] or 0) * 12 + int(parts[2] or 0)}M" if parts else duration


def score(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count answered contracts and exact matches of every category."""
    counts: dict[str, Counter[str]] = {category: Counter() for category in CATEGORIES}
    for record in records:
        result = values_of(record)
        spanned = {note["category"] for note in record["annotations"]}
        for category, count in counts.items():
            if category in spanned:
                _count(count, category, record, result[category])
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
        repeats = re.search("succ?es", answer, re.IGNORECASE) is not None
        count["repeats_right"] += lines[0].value.repeats is repeats
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
    figures: dict[str, Any] = dict(sorted(count.items()))
    if count["answered"]:
        figures["exact"] = round(count["right"] / count["answered"], 5)
    if count["iso"]:
        figures["iso_exact"] = round(count["iso_right"] / count["iso"], 5)
    return figures


def table(scores: dict[str, Any]) -> str:
    """The figures of some contracts as text."""
    keys = ("contracts", "answered", "exact", "iso", "iso_exact", "blank", "blank_none", "stated")
    rows = [["category", *keys]]
    rows += [[name, *(str(s.get(key, "")) for key in keys)] for name, s in scores.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = "\n".join("  ".join(map(str.ljust, row, widths)) for row in rows)
    p = scores["Parties"]
    names = (
        f"\nparty names: {p.get('names_right', 0)} right of {p.get('names_given', 0)} given and "
        f"{p.get('names_answered', 0)} answered; roles right for {p.get('roles_right', 0)} of "
        f"{p.get('roles_answered', 0)} right names with one"
    )
    r = scores["Renewal Term"]
    return f"{text}{names}\nrepeats: {r.get('repeats_right', 0)} right of {r.get('repeats', 0)}"


def main() -> None:
    """Read the command line, score, and write or print the figures."""
    parser = command(__doc__, "specialist", "--data")
    parser.add_argument("--fold", type=int, choices=range(5), help="print only this fold")
    options = parser.parse_args()
    config = read_config(options.specialist)

    def records(folds: Sequence[int]) -> list[dict[str, Any]]:
        return list(read_records(options.data, config["data"], folds))

    if options.fold is not None:
        print(table(score(records((options.fold,)))))
        return
    figures: dict[str, dict[str, Any]] = {}
    for name, folds in (("folds 1-4, developed on", DEVELOPED), ("fold 0, kept apart", APART)):
        result = records(folds)
        figures[name] = {"contracts": len(result), "categories": score(result)}
        print(f"{name}: {len(result)} contracts\n{table(figures[name]['categories'])}\n")
    write_json(options.specialist / "values.json", figures)


if __name__ == "__main__":
    main()
