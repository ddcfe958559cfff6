"""Write docs/reference/clause-types.md from the shared categories: part of `make schemas`."""

from __future__ import annotations

from pathlib import Path

from shared.categories import CATEGORIES, SUBJECTS, title_of

FILE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "clause-types.md"
HEAD = """\
# Clause types

smallprint looks for these clauses in a contract. The pages show the name. The interface, commands
and exports use the `category`. Categories and meanings come from CUAD v1 (The Atticus Project,
CC BY 4.0). [How well each is
found](../../models/clauses/contract-clauses/CATEGORIES.md) differs a lot.

Nothing else is searched. For example, termination for a breach, payment terms and force majeure are
no clause types. [Search](../how-to/search.md) for their words, or [teach your own clause
type](../how-to/teach-a-clause-type.md). The specialists for
[terms of service](../../models/clauses/unfair-terms/CARD.md) and
[non-disclosure agreements](../../models/clauses/nda-review/CARD.md) have other clause types.

`make schemas` writes this page.

| name | category | subject | meaning |
| --- | --- | --- | --- |
"""


def rendered() -> str:
    """The whole page."""
    return HEAD + "".join(
        f"| {title_of(name)} | `{name}` | {subject} | {CATEGORIES[name]} |\n"
        for subject, names in SUBJECTS.items()
        for name in names
    )
