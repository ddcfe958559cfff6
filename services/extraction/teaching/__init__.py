"""Teach a specialist for a new clause type from 20 to 500 examples, without training libraries.

The encoder (base and adapter for contracts) stays frozen. Logistic regression learns a head: from
the vector of a token to the probability that it is inside such a clause. The result is an ordinary
adapter.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.extraction.evaluation.metric import matching
from services.extraction.pipeline.decoding import Decoding
from services.extraction.pipeline.search import find_clauses
from services.extraction.teaching.adapter_store import (
    REPORT_FILE,
    check_name,
    install,
    next_version,
    temporary_folder,
    write_taught,
)
from services.extraction.teaching.adapter_store import remove_taught as remove_taught
from services.extraction.teaching.adapter_store import taught_adapters as taught_adapters
from services.extraction.teaching.cross_validation import learn, validate
from services.extraction.teaching.encoder_states import EncoderStates, ReportProgress, read_states
from services.extraction.teaching.examples import BadExamples as BadExamples
from services.extraction.teaching.examples import Example as Example
from services.extraction.teaching.examples import read_examples as read_examples
from services.extraction.teaching.logistic_regression import Head, sigmoid
from shared.errors import SuiteError
from shared.inference import Specialist, Specialists
from shared.inference.adapters import newest_version
from shared.inference.engines import Arithmetic

PARENT = "contract-clauses"
TOLERANCE = 0.02
"""Tolerated mean difference between learned and served probabilities of tokens. Vectors are stored
in 16 bits, and overlapping windows average vectors, not probabilities."""


class VerificationFailed(SuiteError):
    """The served probabilities differ from the learned ones."""

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
    tell: ReportProgress = lambda _what, _done, _total: None,
) -> dict[str, Any]:
    """Teach a specialist, cross-validate it, verify it as it is served, and install it.

    Args:
        name: of the specialist, and the category of its clauses.
        artefacts: folder of the base and the parent.
        parent: the adapter whose encoder is used.

    Returns:
        The report, which is stored with the adapter.

    Raises:
        InvalidRequest, Conflict, NotFound: see `check_name`.
        BadExamples: a passage can't be read.
        VerificationFailed: the adapter differs from what was learned; nothing is installed.
    """
    began = time.monotonic()
    check_name(name, artefacts, adapters, replace=replace)
    with temporary_folder(adapters):  # fails now, not after minutes, if it can't be written
        pass
    encoder = Specialists(artefacts, threads, arithmetic).get(parent)
    states = read_states(examples, encoder, tell)
    read = time.monotonic()
    found = validate(states, name, Decoding.of(encoder.manifest.decoding), tell)
    head = learn(states, found.choice.option)
    learned = time.monotonic()
    version = next_version(name, adapters)
    on = f"{encoder.manifest.name} {encoder.manifest.version}"
    with temporary_folder(adapters) as folder:
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
            "option": {
                "by": "words" if found.choice.option.by_words else "sentences",
                "merge": found.choice.option.merge,
                "positive_weight": found.choice.option.strength.positive_weight,
                "ridge": found.choice.option.strength.ridge,
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
        place = install(folder, adapters, name, version)
    return {**report, "folder": str(place)}


def counts_of(examples: Sequence[Example]) -> dict[str, int]:
    """Count examples, examples without a passage, passages and documents."""
    return {
        "count": len(examples),
        "empty": sum(not example.spans for example in examples),
        "spans": sum(len(example.spans) for example in examples),
        "documents": len({example.document for example in examples}),
    }


def verify(
    served: Specialist, states: EncoderStates, head: Head, tell: ReportProgress
) -> dict[str, Any]:
    """Run the specialist on every example, and compare its probabilities with the learned ones.

    Returns the number of passages that it finds, and the mean difference. Raises
    VerificationFailed if that is too large.
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
    if not mean < TOLERANCE:
        raise VerificationFailed(
            f"{name}: its probabilities differ by {mean:.3f} from what was learned, so it is not "
            "installed. Run `smallprint doctor`, then teach it again"
        )
    return {"found": found, "of": passages, "difference": mean}
