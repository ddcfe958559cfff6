"""Compare several predictions of the same filings, with intervals.

    python -m models.triage_breaks.tries first.jsonl.gz second.jsonl.gz …

Each file has predictions of `models.triage_breaks`, with the same errors in the same filings. Draws
of companies are the same for two files, each with its own threshold. Filings that their company
corrected later are left out. A further table for each later file compares it with the first, also
without the wrong filings of `reading.toml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from models.files import command, read_lines
from models.triage_breaks import reading
from models.triage_breaks.curve import SHARES, Companies, Prediction, difference, limit
from models.triage_breaks.filings import FOLDER
from models.triage_breaks.injections import AS_DEVELOPMENT
from models.triage_breaks.scores import of, risk

AT = 0.02


def grouped(
    some: Sequence[Prediction], left_out: set[str], types: Iterable[str] = AS_DEVELOPMENT
) -> Companies:
    """Group the risks of whole filings by company, without excluded ids."""
    counted = [p for p in of("own", some) if p["id"] not in left_out]
    return Companies.of(sorted(counted, key=lambda p: int(p["company"])), risk, types)


def corrected(tries: Iterable[Sequence[Prediction]]) -> set[str]:
    """Return the filings that a company corrected later."""
    return {p["id"] for some in tries for p in of("corrected", some)}


def table(tries: Mapping[str, Sequence[Prediction]]) -> str:
    """Return the table, a row a file."""
    left_out = corrected(tries.values())
    results = {name: grouped(some, left_out) for name, some in tries.items()}
    first = next(iter(results.values()))
    head = " | ".join(f"{share:.0%}" for share in SHARES)
    lines = [
        f"| predictions | {head} | more at {AT:.0%} | headlines: false alarms | found |",
        "| --- |" + " --- |" * (len(SHARES) + 3),
    ]
    for name, companies in results.items():
        rates = " | ".join(f"{rate:.1%}" for rate in companies.found(SHARES))
        gain, low, high = difference(first, companies, AT)
        short = of("headlines", tries[name])
        sound = np.concatenate([a for a, _ in companies.of_each])
        at = limit(sound, AT)
        counts = " | ".join(
            f"{sum(risk(p) > at for p in some)}/{len(some)}" if some else "-"
            for some in (
                [p for p in short if p["type"] is None],
                [p for p in short if p["type"] is not None],
            )
        )
        lines.append(f"| {name} | {rates} | {gain:+.1%} [{low:+.1%}, {high:+.1%}] | {counts} |")
    return "\n".join(lines) + "\n"


def gains(
    first: Sequence[Prediction], later: Sequence[Prediction], apart: set[str], wrong: set[str]
) -> str:
    """Return what the later file finds and its gain over the first, with and without `wrong`.

    The filings of `apart` are never counted.
    """
    lines = [
        "| errors | filings | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |",
        "| --- | --- |" + " --- |" * len(SHARES),
    ]
    for name, types in reading.TYPES.items():
        for filings, left_out in (("all", apart), (f"without {len(wrong)} wrong", apart | wrong)):
            before, after = (grouped(some, left_out, types) for some in (first, later))
            cells = [f"| {name} | {filings} |"]
            for share, found in zip(SHARES, after.found(SHARES), strict=True):
                gain, low, high = difference(before, after, share)
                cells.append(f" {found:.1%}, {gain:+.1%} [{low:+.1%}, {high:+.1%}] |")
            lines.append("".join(cells))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line and print the tables."""
    parser = command(__doc__)
    parser.add_argument(
        "files", type=Path, nargs="+", help="predictions, the first to compare with"
    )
    arguments = parser.parse_args()
    tries = {path.name: list(read_lines(path)) for path in arguments.files}
    print(table(tries))
    first, *later = tries
    apart, wrong = corrected(tries.values()), reading.wrong_filings(FOLDER)
    for name in later:
        print(f"{name}:\n\n{gains(tries[first], tries[name], apart, wrong)}")


if __name__ == "__main__":
    main()
