"""A specialist for a clause type of one's own, from 20 to 500 examples, without training libraries.

The encoder stays as it is: the base with the adapter that knows contracts. What is learned is one
linear map from what the encoder says of a token to the probability that it lies in such a clause.
The result is an adapter like any other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.extraction.decoding import Decoding
from services.extraction.metric import matching
from services.extraction.pipeline import find_clauses
from services.extraction.teaching.examples import BadExamples as BadExamples
from services.extraction.teaching.examples import Example as Example
from services.extraction.teaching.examples import read_examples as read_examples
from services.extraction.teaching.keeping import (
    REPORT_FILE,
    check_name,
    next_version,
    put_in_place,
    unfinished,
    write_taught,
)
from services.extraction.teaching.keeping import remove_taught as remove_taught
from services.extraction.teaching.keeping import taught_adapters as taught_adapters
from services.extraction.teaching.learning import Head, sigmoid
from services.extraction.teaching.states import States, Tell, read_states
from services.extraction.teaching.validation import learn, validate
from shared.errors import SuiteError
from shared.inference import Specialist, Specialists
from shared.inference.adapters import newest_version
from shared.inference.engines import Arithmetic

PARENT = "contract-clauses"
AGREES = 0.02
"""Mean difference of a token's probability, as learned and as served, that is taken for the same:
vectors are kept in 16 bits, and of overlapping windows the vectors were averaged, not the
probabilities."""


class NotVerified(SuiteError):
    """What was learned is not what is served."""

    code = "not_verified"


def teach(
    name: str,
    examples: Sequence[Example],
    artefacts: Path,
    adapters: Path,
    *,
    threads: int = 2,
    arithmetic: Arithmetic = "int8",
    replace: bool = False,
    parent: str = PARENT,
    tell: Tell = lambda _what, _done, _total: None,
) -> dict[str, Any]:
    """Teach a specialist, say how good it is, and keep it once it was tried out as it is served.

    Args:
        name: of the specialist, and the category of its clauses.
        examples: what it is taught by.
        artefacts: holds the base and the parent.
        adapters: folder of the taught adapters.
        threads: of the processor, for the encoder.
        arithmetic: of the encoder.
        replace: whether one of that name is replaced.
        parent: the adapter whose encoder is used.
        tell: is told how it goes.

    Returns:
        The report, which is kept as well.

    Raises:
        InvalidRequest, Conflict, NotFound: see `check_name`.
        BadExamples: a passage can't be read.
        BaseError, AdapterError: base or parent are missing or damaged.
        NotVerified: what was written does not say what was learned; nothing is kept.
    """
    began = time.monotonic()
    check_name(name, artefacts, adapters, replace=replace)
    with unfinished(adapters):  # what can't be written is said now, not after minutes
        pass
    encoder = Specialists(artefacts, threads, arithmetic).get(parent)
    states = read_states(examples, encoder, tell)
    read = time.monotonic()
    found = validate(states, name, Decoding.of(encoder.manifest.decoding), tell)
    head = learn(states, found.choice.way)
    learned = time.monotonic()
    version = next_version(name, adapters)
    on = f"{encoder.manifest.name} {encoder.manifest.version}"
    with unfinished(adapters) as folder:
        taught = {"on": on, "examples": len(examples)}
        source = newest_version(artefacts, parent)
        write_taught(folder, name, version, head, found.choice, source, taught)
        served = Specialists(artefacts, threads, arithmetic, folder).get(name)
        verified = verify(served, states, head, tell)
        ended = time.monotonic()
        report = {
            "name": name,
            "version": version,
            "on": on,
            "base": encoder.manifest.base_sha256,
            "examples": counts_of(examples),
            **found.figures,
            "way": {
                "by": "words" if found.choice.way.by_words else "sentences",
                "merge": found.choice.way.merge,
                "positive_weight": found.choice.way.strength.positive_weight,
                "ridge": found.choice.way.strength.ridge,
            },
            "verified": verified,
            "timings": {
                "read": round(read - began, 3),
                "learn": round(learned - read, 3),
                "verify": round(ended - learned, 3),
                "total": round(ended - began, 3),
            },
        }
        text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
        (folder / name / version / REPORT_FILE).write_text(text, encoding="utf-8")
        place = put_in_place(folder, adapters, name, version)
    return {**report, "folder": str(place)}


def counts_of(examples: Sequence[Example]) -> dict[str, int]:
    """Count examples, those without such a clause, passages and documents."""
    return {
        "count": len(examples),
        "empty": sum(not example.spans for example in examples),
        "spans": sum(len(example.spans) for example in examples),
        "documents": len({example.document for example in examples}),
    }


def verify(served: Specialist, states: States, head: Head, tell: Tell) -> dict[str, Any]:
    """Send every example through the specialist as documents will go, and compare.

    Returns:
        How many of its own passages it finds, which says nothing of others, and the difference.

    Raises:
        NotVerified: the probabilities are not those that were learned.
    """
    found = passages = tokens = 0
    difference = 0.0
    name = served.manifest.name
    for number, read in enumerate(states.reads):
        tell("trying it out", number, len(states.reads))
        example = read.example
        probabilities = served.token_probabilities(example.text).probabilities[:, 0]
        expected = sigmoid(head.logits(states.vectors[read.place]))
        difference += float(np.abs(probabilities - expected).sum())
        tokens += len(expected)
        texts = [clause.text for clause in find_clauses(example.text, served)]
        hits = matching([name] * len(texts), texts, {name: example.answers})
        found += len(frozenset().union(*hits))
        passages += len(example.spans)
    tell("trying it out", len(states.reads), len(states.reads))
    mean = difference / max(tokens, 1)
    if not mean < AGREES:
        raise NotVerified(
            f"{name}: loaded again, its probabilities differ by {mean:.3f} from what was learned; "
            "nothing is kept. Run `smallprint doctor`, then teach it again"
        )
    return {"found": found, "of": passages, "difference": mean}
