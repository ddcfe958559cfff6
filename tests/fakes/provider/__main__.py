"""Serve a stand-in for a frontier provider until Ctrl-C. It is no model.

    python -m tests.fakes.provider LABELS [--port 8499] [--errors 0.1] [--fault hang=0.01]… \
        [--seed 1]

LABELS are JSON lines, with gzip or not: `{"category", "text"}`, or contracts with `annotations` as
for `smallprint compare`. Labels of reports are `{"wrong", "right"}` with printed amounts, of kinds
`{"kind", "text"}`, of pages `{"page", "text"}` with `sound` or `unsound`. A label is recognised in
a passage despite line breaks, hyphenation and ligatures. The stand-in denies labels that are masked
(`mask` in the policy), outside the passage, or split by a header or footer, beyond --errors. It
prints the entry for the policy file; `/bill` has the bills.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.fakes.provider import ENTRY, Labels, StandIn
from tests.fakes.provider.server import FAULTS, Fault


def part(text: str) -> float:
    """A share from 0 to 1. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("a share is a number from 0 to 1")
    return number


def share(text: str) -> tuple[Fault, float]:
    """`FAULT=SHARE`. Raises ArgumentTypeError."""
    name, _, number = text.partition("=")
    found = [fault for fault in FAULTS if fault == name]
    if not found:
        raise argparse.ArgumentTypeError(f"FAULT=SHARE, with one of {', '.join(FAULTS)}")
    return found[0], part(number)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.provider", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("labels", metavar="LABELS", type=Path, help="what is right, see above")
    parser.add_argument("--port", type=int, default=8499, help="0: any (%(default)s)")
    parser.add_argument(
        "--errors",
        metavar="SHARE",
        type=part,
        default=0.1,
        help="of the answers that are mistaken in good faith: what is there is missed, or "
        "something else is named (%(default)s)",
    )
    parser.add_argument(
        "--fault",
        metavar="FAULT=SHARE",
        type=share,
        action="append",
        default=[],
        help=f"of the calls that go wrong so; may be repeated: {', '.join(FAULTS[1:])}",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of all that is left to chance (%(default)s)"
    )
    asked = parser.parse_args(arguments)
    try:
        labels = Labels.of_file(asked.labels)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    chosen = {"errors": asked.errors, "seed": asked.seed, "port": asked.port}
    with suppress(KeyboardInterrupt), StandIn(labels, faults=dict(asked.fault), **chosen) as it:
        print(ENTRY.format(url=it.url), end="", flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
