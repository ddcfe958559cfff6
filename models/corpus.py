"""The annotated documents that a specialist learns from, in one form whatever the corpus.

    python -m models.corpus models/unfair-terms --data FOLDER

counts what there is, and writes the specialist's `labels.json`, in the order of its head.

The section `[data]` of a specialist's config says how its corpus is read: `training` is the file
(gzipped JSON Lines: `id`, `title`, `text`, `annotations` of `category`, `start`, `end`, and
perhaps `answer`; `family` and `fold`, where a corpus has them, keep alike documents together),
`answers.dropped` are answers whose passages count as unmarked, and `answers.apart` gives those
that make a label of their own a name. `least` is how many passages a label needs to be one, and
`leave_out` names labels that are not learned.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDS = range(5)


def read_records(
    data: Path, settings: Mapping[str, Any], folds: Iterable[int] = FOLDS
) -> Iterator[dict[str, Any]]:
    """Yield the documents of some folds, each with `family`, `fold` and the labels' own names.

    Args:
        data: folder of the corpora, or the one that has it as `legal`.
        settings: the section `[data]` of a specialist's config.
        folds: 0 to 4; a document without a fold has one by the SHA-256 of its id.

    Raises:
        SystemExit: the folder does not have the corpus.
    """
    wanted = set(folds)
    with gzip.open(corpus_in(data, settings["training"]), "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            record.setdefault("family", record["id"])
            record.setdefault("fold", fold_of(record["family"]))
            if record["fold"] in wanted:
                record["annotations"] = list(annotations_of(record, settings))
                yield record


def corpus_in(data: Path, name: str) -> Path:
    """Return the file of a corpus, which lies in a folder or in `legal` below it.

    Raises:
        SystemExit: it is in neither.
    """
    for folder in (data / "legal", data):
        if (folder / name).is_file():
            return folder / name
    raise SystemExit(f"{data} has no {name}, nor has {data / 'legal'}: name the folder that has it")


def fold_of(family: str) -> int:
    """Return the fold of documents that have none of their own."""
    return int(hashlib.sha256(family.encode()).hexdigest(), 16) % len(FOLDS)


def annotations_of(
    record: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the annotations that count, with the label that the answer makes of a category."""
    answers = settings.get("answers", {})
    dropped, apart = answers.get("dropped", ()), answers.get("apart", {})
    left_out = settings.get("leave_out", ())
    for note in record["annotations"]:
        answer = note.get("answer")
        if answer in dropped:
            continue
        if answer in apart:
            note = note | {"category": f"{note['category']} ({apart[answer]})"}
        if note["category"] not in left_out:
            yield note


def counts_of(records: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Count the passages of every label."""
    return Counter(note["category"] for record in records for note in record["annotations"])


def labels_of(
    counts: Mapping[str, int], settings: Mapping[str, Any], known: Iterable[str] = ()
) -> list[str]:
    """Return the labels that have enough passages: known ones in their order, then the others."""
    enough = {label for label, count in counts.items() if count >= settings.get("least", 1)}
    kept = [label for label in known if label in enough]
    return kept + sorted(enough.difference(kept))


def read_labels(specialist: Path, settings: Mapping[str, Any]) -> list[str]:
    """Return the labels of a specialist, in the order of its head."""
    labels: list[str] = json.loads((specialist / "labels.json").read_text(encoding="utf-8"))
    return [label for label in labels if label not in settings.get("leave_out", ())]


def main() -> None:
    """Read the command line, count, and write the labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of the corpora, or its parent"
    )
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    records = list(read_records(arguments.data, config["data"]))
    counts = counts_of(records)
    target = arguments.specialist / "labels.json"
    known = json.loads(target.read_text(encoding="utf-8")) if target.exists() else []
    labels = labels_of(counts, config["data"], known)
    target.write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")
    folds = Counter(record["fold"] for record in records)
    print(f"{len(records)} documents, by fold {[folds[fold] for fold in FOLDS]}")
    for label, count in sorted(counts.items()):
        print(f"{count:6} {label}{'' if label in labels else ' (too few: no label)'}")


if __name__ == "__main__":
    main()
