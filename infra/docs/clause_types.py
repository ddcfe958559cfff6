"""Write docs/reference/clause-types.md from the shared categories: part of `make schemas`."""

from __future__ import annotations

from pathlib import Path

from shared.categories import CATEGORIES

FILE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "clause-types.md"
HEAD = """\
# Clause types

smallprint looks for these clauses in a contract. The name is the `category` of a clause. Names and
meaning come from CUAD v1 (The Atticus Project, CC BY 4.0). [How well each is
found](../../models/clauses/contract-clauses/CATEGORIES.md) differs a lot.

Nothing else is searched. For example, termination for a breach, payment terms and force majeure are
no clause types. [Search](../how-to/search.md) for their words, or [teach your own clause
type](../how-to/teach-a-clause-type.md). The specialists for
[terms of service](../../models/clauses/unfair-terms/CARD.md) and
[non-disclosure agreements](../../models/clauses/nda-review/CARD.md) have other clause types.

`make schemas` writes this page.

| clause type | meaning |
| --- | --- |
"""


def rendered() -> str:
    """The whole page."""
    return HEAD + "".join(f"| {name} | {meaning} |\n" for name, meaning in CATEGORIES.items())
