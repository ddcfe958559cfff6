"""Clauses of another collection for the categories of ours: which, and how many are new?

    python -m models.borrowed models/contract-clauses --data FOLDER

ACORD (The Atticus Project, CC BY 4.0) rates clauses by how well they answer a lawyer's query. Its
queries for kinds of clauses are mapped to our categories; what is rated relevant and stands in
none of our training contracts can be borrowed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from models.corpus import corpus_in, read_labels

CLAUSES, QUERIES = "acord_clauses.jsonl.gz", "acord_queries_train_valid.jsonl.gz"
RELEVANT = 3
"""The rating from which on a clause answers its query; 4 is the best."""

CATEGORIES = {
    "New York Governing Law": "Governing Law",
    "Governing Law excluding UCC or other similar regulatory frameworks": "Governing Law",
    "Most Favored Nation Clause": "Most Favored Nation",
    "Clause that requires notice to terminate auto-renew": "Notice Period To Terminate Renewal",
    "Termination for Convenience": "Termination For Convenience",
    "Non-compete bound by time and territory": "Non-Compete",
    "Exclusivity bound by time and territory": "Exclusivity",
    "Non-Disparagement": "Non-Disparagement",
    "Anti-Assignment clause that requires notice only for assignment to affiliates": (
        "Anti-Assignment"
    ),
    "Source Code Escrow": "Source Code Escrow",
    "Insurance": "Insurance",
    "Covenant Not To Sue": "Covenant Not To Sue",
    "cap on liability": "Cap On Liability",
}
"""Of the queries that ask for a kind of clause as a whole, the category that they ask for."""


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def borrowed(data: Path, training: str) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """Return what can be borrowed as one made-up contract, and counts by category.

    Args:
        data: folder of the legal data.
        training: name of the file of our own contracts in it.

    Returns:
        A record whose text is the new clauses one after the other, each annotated; and
        for each category how many clauses were rated relevant, and how many of them are new.
    """
    texts = {clause["id"]: clause["text"] for clause in _lines(corpus_in(data, CLAUSES))}
    known = "|".join(_letters(record["text"]) for record in _lines(corpus_in(data, training)))
    relevant: Counter[str] = Counter()
    chosen: dict[tuple[str, str], None] = {}
    for query in _lines(corpus_in(data, QUERIES)):
        category = CATEGORIES.get(query["query"])
        for rated in query["relevant"] if category else ():
            text = texts.get(rated["clause"], "").strip()
            if not text or rated["score"] < RELEVANT:
                continue
            relevant[category or ""] += 1
            if _letters(text) not in known:
                chosen[category or "", text] = None
    text, annotations = "", []
    for category, clause in chosen:
        start = len(text)
        text += clause + "\n\n"
        annotations.append({"category": category, "start": start, "end": start + len(clause)})
    new = Counter(category for category, _ in chosen)
    record = {"id": "acord", "family": "acord", "text": text}
    counts = {name: (number, new[name]) for name, number in relevant.items()}
    return record | {"annotations": annotations}, counts


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml and labels.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the legal data")
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(arguments.specialist, config["data"])
    record, counts = borrowed(arguments.data, config["data"]["training"])
    print("| category | rated 3 or 4 | in none of our training contracts |\n| --- | ---: | ---: |")
    for label in labels:
        if label in counts:
            print(f"| {label} | {counts[label][0]} | {counts[label][1]} |")
    total = [sum(column) for column in zip(*counts.values(), strict=True)]
    print(f"| all, {len(record['text'])} characters | {total[0]} | {total[1]} |")


if __name__ == "__main__":
    main()
