"""Missing data is counted and does not end the count."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import cast

from tests.chaos.facts import gather
from tests.chaos.people import Client
from tests.support.patient_client import GivenUpError


class _Lost:
    """A suite of one contract whose bytes are gone, as `Client`."""

    def all(self, path: str) -> list[dict[str, object]]:
        if path.startswith("/v1/documents?"):
            return [{"id": "doc_1", "kind": "contract", "outcome": "complete"}]
        return []

    def get(self, _path: str) -> dict[str, object]:
        return {}

    def ask(self, _method: str, path: str, _patience: float) -> object:
        raise GivenUpError(path)


def test_bytes_that_never_come_are_other_bytes() -> None:
    facts = gather(cast("Client", _Lost()), "wh_1")
    assert facts.originals == {"doc_1": hashlib.sha256(b"").hexdigest()}
    assert (facts.texts, facts.pages) == ({"doc_1": ""}, {"doc_1": []})


def test_a_refusal_is_no_text() -> None:
    refusal = SimpleNamespace(status_code=409, content=b"not read yet")
    lost = _Lost()
    lost.ask = lambda *_: refusal  # type: ignore[method-assign]
    facts = gather(cast("Client", lost), "wh_1")
    assert (facts.texts, facts.pages) == ({"doc_1": ""}, {"doc_1": []})
