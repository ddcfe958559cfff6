"""Encoding of events: every message ever sent must decode."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.events import (
    TYPES,
    AdapterVersion,
    BlobRef,
    ClausesExtracted,
    DocumentFailed,
    DocumentRead,
    EscalationAnswered,
    Event,
    UnknownEvent,
    bare_event,
    decode,
    open_envelope,
    read_envelope,
)
from tests.contract.events.samples import DOCUMENT, SAMPLES

GOLDEN = Path(__file__).parent / "golden"
BY_TYPE = {sample.type: sample for sample in SAMPLES}


def _golden(kind: str) -> bytes:
    return (GOLDEN / f"{kind}.json").read_bytes()


def test_every_type_has_a_sample_and_a_golden_file() -> None:
    assert len(TYPES) >= 10
    assert set(BY_TYPE) == set(TYPES)
    assert {path.stem for path in GOLDEN.glob("*.json")} >= set(TYPES)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_golden_message_decodes(path: Path) -> None:
    event = decode(path.read_bytes())
    assert event == BY_TYPE[path.stem]
    assert type(event) is TYPES[path.stem]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.type)
def test_an_event_is_encoded_as_in_its_golden_file(sample: Event) -> None:
    assert json.loads(sample.to_json("tests")) == json.loads(_golden(sample.type))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.type)
def test_a_message_is_a_cloud_event(sample: Event) -> None:
    message = json.loads(sample.to_json("tests"))
    assert message["specversion"] == "1.0"
    assert message["source"] == "/smallprint/tests"
    assert message["subject"] == DOCUMENT
    assert message["time"].endswith("Z")
    assert all(name.isalnum() and name == name.lower() for name in message)
    assert len(sample.to_json("tests")) < 4000, "events carry references, never payloads"


def test_attributes_without_a_value_are_omitted() -> None:
    sample = BY_TYPE["document.deleted.v1"].model_copy(
        update={"actor": None, "cause": None, "trace": None}
    )
    message = json.loads(sample.to_json("ingest"))
    assert not {"actor", "causationid", "traceparent"} & set(message)
    assert decode(sample.to_json("ingest")) == sample


def test_unknown_fields_are_ignored() -> None:
    message = json.loads(_golden("document.read.v1"))
    message["futureattribute"] = "x"
    message["data"]["future_field"] = {"a": 1}
    assert decode(json.dumps(message).encode()) == BY_TYPE["document.read.v1"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("document.read.v1", {"failed_pages": (), "attempt": 1, "adapters": ()}),
        ("document.ingested.v1", {"adapters": ()}),
        ("clauses.extracted.v1", {"accepted": 0, "sampled": (), "adapters": ()}),
        ("review.decided.v1", {"wrong": None, "origin": "model"}),
    ],
)
def test_optional_fields_may_be_missing(kind: str, expected: dict[str, Any]) -> None:
    message = json.loads(_golden(kind))
    for name in expected:
        del message["data"][name]
    event = decode(json.dumps(message).encode())
    assert {name: getattr(event, name) for name in expected} == expected
    if isinstance(event, ClausesExtracted):
        assert event.read_by == (AdapterVersion(name="contract-clauses", version="1.0.0"),)


def test_an_unknown_type_decodes_to_none() -> None:
    message = json.loads(_golden("document.read.v1")) | {"type": "document.read.v2"}
    assert decode(json.dumps(message).encode()) is None


@pytest.mark.parametrize(
    "value",
    [b"", b"\x00\xff", b"null", b"[]", b"{}", b'{"specversion": "1.0"}', b"x" * 100_000],
    ids=["empty", "binary", "null", "list", "object", "half", "long"],
)
def test_an_invalid_message_is_an_unknown_event(value: bytes) -> None:
    with pytest.raises(UnknownEvent):
        decode(value)


def test_data_of_another_type_is_an_unknown_event() -> None:
    message = json.loads(_golden("document.read.v1"))
    message["data"]["text"]["sha256"] = "../../etc/passwd"
    with pytest.raises(UnknownEvent, match="invalid event"):
        decode(json.dumps(message).encode())


def test_the_key_contains_tenant_and_document() -> None:
    sample = BY_TYPE["document.read.v1"]
    assert sample.key == f"default/{DOCUMENT}"
    assert sample.model_copy(update={"tenant": "other"}).key == f"other/{DOCUMENT}"


@pytest.mark.parametrize("kind", [DocumentFailed, EscalationAnswered])
def test_a_long_reason_is_shortened(kind: type[DocumentFailed | EscalationAnswered]) -> None:
    fields = BY_TYPE[kind.type].model_dump()
    for length, expected in [(2000, "x" * 2000), (2001, "x" * 1999 + "…")]:
        long = kind(**fields | {"reason": "x" * length})
        assert long.reason == expected
        assert decode(long.to_json("tests")) == long


def test_bare_event_keeps_document_and_attempt() -> None:
    message = json.loads(_golden("document.read.v1"))
    message["data"] = {"attempt": 4, "text": 7}
    envelope = read_envelope(json.dumps(message).encode())
    event = bare_event(envelope, DocumentRead)
    sample = BY_TYPE["document.read.v1"]
    assert (event.id, event.key, event.attempt) == (sample.id, sample.key, 4)
    with pytest.raises(UnknownEvent, match=r"document\.read\.v1 with name"):
        open_envelope(envelope, DocumentRead)
    with pytest.raises(UnknownEvent):
        bare_event(envelope.model_copy(update={"subject": ""}), DocumentRead)


def test_a_reference_without_an_owner_omits_it() -> None:
    plain = BlobRef(sha256="0" * 64, size=1)
    owned = BlobRef(sha256="0" * 64, size=1, owner="triage")
    assert plain.model_dump() == {"sha256": "0" * 64, "size": 1}
    assert BlobRef(**owned.model_dump()) == owned != plain
