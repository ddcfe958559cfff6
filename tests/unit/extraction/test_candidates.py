"""Proposed candidates."""

import numpy as np

from services.extraction.pipeline.candidates import Candidates, Source, propose
from services.extraction.pipeline.decoding import sentences, token_cuts
from services.extraction.pipeline.patterns import Kind

TEXT = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
NAMES = 'This is made by Acme Corp. (the "Buyer") and others.'


def tokens(text: str) -> np.ndarray:
    spans, start = [], 0
    for word in text.split(" "):
        body = word.rstrip(".")
        spans += [(start, start + len(body))] + (
            [(start + len(body), start + len(word))] if word != body else []
        )
        start += len(word) + 1
    return np.array(spans, np.int64)


def proposed(
    text: str, probabilities: np.ndarray, entities: dict[int, tuple[Kind, ...]]
) -> Candidates:
    offsets = tokens(text)
    return propose(text, offsets, probabilities, token_cuts(sentences(text), offsets), entities)


def texts(text: str, found: Candidates, label: int) -> set[str]:
    offsets = tokens(text)
    return {
        text[offsets[a, 0] : offsets[b - 1, 1]]
        for c, a, b in zip(found.label, found.first, found.end, strict=True)
        if c == label
    }


def column(text: str, likely: dict[int, float], labels: int = 1) -> np.ndarray:
    values = np.full((len(tokens(text)), labels), 0.001, np.float32)
    for token, value in likely.items():
        values[token, -1] = value
    return values


def test_runs_of_possible_sentences_are_proposed_in_every_length() -> None:
    found = proposed(TEXT, column(TEXT, dict.fromkeys(range(4, 12), 0.6)), {})
    assert {"Four five six.", "Seven eight nine.", "Four five six. Seven eight nine."} <= texts(
        TEXT, found, 0
    )
    assert not any("Ten" in piece for piece in texts(TEXT, found, 0))


def test_unlikely_ends_are_also_cut_off() -> None:
    found = proposed(TEXT, column(TEXT, {5: 0.9, 6: 0.9}), {})
    assert {"Four five six.", "five six"} <= texts(TEXT, found, 0)


def test_each_stretch_is_proposed_once_and_knows_all_its_sources() -> None:
    found = proposed(TEXT, column(TEXT, dict.fromkeys(range(4, 8), 0.6)), {})
    keys = list(zip(found.label, found.first, found.end, strict=True))
    assert len(keys) == len(set(keys)) == len(found)
    assert keys == sorted(keys)
    (whole,) = np.flatnonzero((found.first == 4) & (found.end == 8))
    assert found.sources[whole, [Source.SENTENCES, Source.TRIMMED, Source.TOKENS]].all()
    assert (found.from_sentence[whole], found.to_sentence[whole]) == (1, 2)


def test_a_name_is_proposed_whole_where_one_token_is_likely() -> None:
    found = proposed(NAMES, column(NAMES, {4: 0.5}), {0: (Kind.COMPANY, Kind.QUOTED)})
    assert "Acme Corp." in texts(NAMES, found, 0)
    assert "Buyer" not in texts(NAMES, found, 0), "no token of it is possible"
    sentences_only = proposed(NAMES, column(NAMES, {4: 0.5}), {})
    assert not sentences_only.sources[:, len(Source) :].any()


def test_an_unlikely_label_has_no_candidates() -> None:
    found = proposed(TEXT, column(TEXT, {5: 0.9}, labels=2), {})
    assert set(found.label.tolist()) == {1}


def test_an_unlikely_contract_has_no_candidates() -> None:
    found = proposed(TEXT, column(TEXT, {}), {0: (Kind.COMPANY,)})
    assert len(found) == 0
    assert found.sources.shape == (0, len(Source) + len(Kind))
