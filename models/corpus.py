"""The annotated documents of a specialist, in one form for all corpora.

    python -m models.corpus models/clauses/unfair-terms --data FOLDER

counts the passages and writes `labels.json`, in the order of the head.

The section `[data]` of a config describes the corpus. `training` is a gzipped JSON Lines file with
`id`, `title`, `text`, and `annotations` of `category`, `start`, `end` and perhaps `answer`.
Optional `family` and `fold` keep similar documents together. Passages with an answer in
`answers.dropped` count as unmarked. `answers.apart` names labels for other answers. A label needs
`least` passages. Labels in `leave_out` are not learned.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from models.files import command, read_config, read_json, write_json

FOLDS = range(5)


def read_records(
    data: Path, settings: Mapping[str, Any], folds: Iterable[int] = FOLDS
) -> Iterator[dict[str, Any]]:
    """Yield the documents of some folds, each with `family`, `fold` and label names.

    Args:
        data: folder of the corpora, or its parent (`legal` below it).
        settings: the section `[data]` of a specialist's config.
        folds: 0 to 4; without a fold the SHA-256 of the family decides.

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
    """Return the file of a corpus in a folder or its `legal`. Raises SystemExit without it."""
    for folder in (data / "legal", data):
        if (folder / name).is_file():
            return folder / name
    raise SystemExit(f"{data} has no {name}, nor has {data / 'legal'}: name another folder")


def fold_of(family: str) -> int:
    """Return the fold of a document without one."""
    return int(hashlib.sha256(family.encode()).hexdigest(), 16) % len(FOLDS)


def annotations_of(
    record: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the annotations that count, with labels for certain answers."""
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
    """Return the labels with enough passages: known ones in their order, then new ones."""
    enough = {label for label, count in counts.items() if count >= settings.get("least", 1)}
    ordered = [label for label in known if label in enough]
    return ordered + sorted(enough.difference(ordered))


def read_labels(specialist: Path, settings: Mapping[str, Any]) -> list[str]:
    """Return the labels of a specialist, in the order of its head."""
    labels: list[str] = read_json(specialist / "labels.json")
    return [label for label in labels if label not in settings.get("leave_out", ())]


def main() -> None:
    """Read the command line, count, and write the labels."""
    parser = command(__doc__, "specialist", "--data")
    arguments = parser.parse_args()
    config = read_config(arguments.specialist)
    records = list(read_records(arguments.data, config["data"]))
    counts = counts_of(records)
    target = arguments.specialist / "labels.json"
    previous = read_json(target) if target.exists() else []
    labels = labels_of(counts, config["data"], previous)
    write_json(target, labels)
    folds = Counter(record["fold"] for record in records)
    print(f"{len(records)} documents, by fold {[folds[fold] for fold in FOLDS]}")
    for label, count in sorted(counts.items()):
        print(f"{count:6} {label}{'' if label in labels else ' (too few: no label)'}")


if __name__ == "__main__":
    main()
