"""The messages between services: what was ever sent must always decode."""

import json
from pathlib import Path

import pytest

from shared.events import (
    TYPES,
    AdapterVersion,
    BlobRef,
    ClausesExtracted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    EscalationAnswered,
    Event,
    UnknownEvent,
    decode,
    open_envelope,
    read_envelope,
    shell,
)
from tests.contract.events.samples import DOCUMENT, SAMPLES

GOLDEN = Path(__file__).parent / "golden"
BY_TYPE = {sample.type: sample for sample in SAMPLES}


def _golden(kind: str) -> bytes:
    return (GOLDEN / f"{kind}.json").read_bytes()


def test_every_type_has_a_sample_and_a_golden_file() -> None:
    """A new type or version comes with its golden file, and none is ever taken away."""
    assert len(TYPES) >= 10
    assert set(BY_TYPE) == set(TYPES)
    assert {path.stem for path in GOLDEN.glob("*.json")} >= set(TYPES)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_golden_message_decodes(path: Path) -> None:
    """A message as it was once sent still means what it meant."""
    event = decode(path.read_bytes())
    assert event == BY_TYPE[path.stem]
    assert type(event) is TYPES[path.stem]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.type)
def test_a_message_is_written_as_the_golden_file_has_it(sample: Event) -> None:
    """A change of what is sent shows here, and asks whether it needs a new version."""
    assert json.loads(sample.to_json("tests")) == json.loads(_golden(sample.type))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.type)
def test_a_message_is_a_cloud_event(sample: Event) -> None:
    """Required attributes are there, and names are lower case, as CloudEvents asks."""
    message = json.loads(sample.to_json("tests"))
    assert message["specversion"] == "1.0"
    assert message["source"] == "/smallprint/tests"
    assert message["subject"] == DOCUMENT
    assert message["time"].endswith("Z")
    assert all(name.isalnum() and name == name.lower() for name in message)
    assert len(sample.to_json("tests")) < 4000, "events carry references, never payloads"


def test_what_is_absent_is_left_out() -> None:
    """An attribute without a value is not sent as null, as CloudEvents asks."""
    sample = BY_TYPE["document.deleted.v1"].model_copy(
        update={"actor": None, "cause": None, "trace": None}
    )
    message = json.loads(sample.to_json("ingest"))
    assert not {"actor", "causationid", "traceparent"} & set(message)
    assert decode(sample.to_json("ingest")) == sample


def test_a_newer_writer_is_understood() -> None:
    """Unknown attributes and unknown fields of the data are passed over."""
    message = json.loads(_golden("document.read.v1"))
    message["futureattribute"] = "x"
    message["data"]["future_field"] = {"a": 1}
    assert decode(json.dumps(message).encode()) == BY_TYPE["document.read.v1"]


def test_an_older_writer_is_understood() -> None:
    """Optional fields may be missing."""
    message = json.loads(_golden("document.read.v1"))
    del message["data"]["failed_pages"], message["data"]["attempt"]
    event = decode(json.dumps(message).encode())
    assert isinstance(event, DocumentRead)
    assert event.failed_pages == ()
    assert event.attempt == 1


def test_the_wish_of_an_older_writer_is_the_adapter_that_is_set_up() -> None:
    """Who wrote before there could be several named none, and one that had read."""
    for kind in ("document.ingested.v1", "document.read.v1"):
        message = json.loads(_golden(kind))
        del message["data"]["adapters"]
        event = decode(json.dumps(message).encode())
        assert isinstance(event, DocumentIngested | DocumentRead)
        assert event.adapters == ()
    message = json.loads(_golden("clauses.extracted.v1"))
    del message["data"]["adapters"]
    event = decode(json.dumps(message).encode())
    assert isinstance(event, ClausesExtracted)
    assert event.read_by == (AdapterVersion(name="contract-clauses", version="1.0.0"),)


def test_a_type_of_a_later_release_is_none() -> None:
    """A service passes over what it does not know."""
    message = json.loads(_golden("document.read.v1")) | {"type": "document.read.v2"}
    assert decode(json.dumps(message).encode()) is None


@pytest.mark.parametrize(
    "value",
    [b"", b"\x00\xff", b"null", b"[]", b"{}", b'{"specversion": "1.0"}', b"x" * 100_000],
    ids=["empty", "binary", "null", "list", "object", "half", "long"],
)
def test_what_is_no_event_is_said_to_be_none(value: bytes) -> None:
    """Poison is an UnknownEvent, never another error."""
    with pytest.raises(UnknownEvent):
        decode(value)


def test_data_that_does_not_fit_its_type_is_refused() -> None:
    """A known type with wrong data is no event either."""
    message = json.loads(_golden("document.read.v1"))
    message["data"]["text"]["sha256"] = "../../etc/passwd"
    with pytest.raises(UnknownEvent, match="not an event"):
        decode(json.dumps(message).encode())


def test_the_key_keeps_tenants_and_documents_apart() -> None:
    """Order is kept per tenant and document."""
    sample = BY_TYPE["document.read.v1"]
    assert sample.key == f"default/{DOCUMENT}"
    assert sample.model_copy(update={"tenant": "other"}).key == f"other/{DOCUMENT}"


@pytest.mark.parametrize("kind", [DocumentFailed, EscalationAnswered])
def test_a_long_reason_is_shortened(kind: type[DocumentFailed | EscalationAnswered]) -> None:
    """A reason of any length can be announced, and its end shows that there was more."""
    fields = BY_TYPE[kind.type].model_dump()
    for length, expected in [(2000, "x" * 2000), (2001, "x" * 1999 + "…")]:
        long = kind(**fields | {"reason": "x" * length})
        assert long.reason == expected
        assert decode(long.to_json("tests")) == long


def test_the_shell_of_a_damaged_event_names_its_document() -> None:
    """Whatever its data, who reads the envelope knows which document is to end, and which try."""
    message = json.loads(_golden("document.read.v1"))
    message["data"] = {"attempt": 4, "text": 7}
    envelope = read_envelope(json.dumps(message).encode())
    event = shell(envelope, DocumentRead)
    sample = BY_TYPE["document.read.v1"]
    assert (event.id, event.key, event.attempt) == (sample.id, sample.key, 4)
    with pytest.raises(UnknownEvent, match=r"document\.read\.v1 with name"):
        open_envelope(envelope, DocumentRead)
    with pytest.raises(UnknownEvent):
        shell(envelope.model_copy(update={"subject": ""}), DocumentRead)


def test_a_reference_without_an_owner_is_written_as_ever() -> None:
    """Older readers see what they know; an owner is kept on the way."""
    plain = BlobRef(sha256="0" * 64, size=1)
    owned = BlobRef(sha256="0" * 64, size=1, owner="triage")
    assert plain.model_dump() == {"sha256": "0" * 64, "size": 1}
    assert BlobRef(**owned.model_dump()) == owned != plain


def test_a_message_from_before_anything_was_accepted_still_decodes() -> None:
    """A person was asked about every clause of it."""
    message = json.loads(_golden("clauses.extracted.v1"))
    del message["data"]["accepted"], message["data"]["sampled"]
    event = decode(json.dumps(message).encode())
    assert isinstance(event, ClausesExtracted)
    assert (event.accepted, event.sampled) == (0, ())
