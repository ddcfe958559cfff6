"""The AsyncAPI document describes the real messages."""

import ast
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.events import TYPES, Event
from shared.events.asyncapi import FILE, SENDERS, document, rendered
from tests.contract.events.samples import SAMPLES
from tests.support import ROOT


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in _references(value)]
    if isinstance(part, list):
        return [ref for value in part for ref in _references(value)]
    return []


def _resolve(whole: dict[str, Any], reference: str) -> Any:
    part: Any = whole
    for step in reference.removeprefix("#/").split("/"):
        part = part[step]
    return part


def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/messages/{name}/payload", **document()})


def test_the_committed_document_is_up_to_date() -> None:
    assert FILE.read_text("utf-8") == rendered(), "stale: run `make schemas`"


def test_every_type_is_described() -> None:
    whole = document()
    assert whole["asyncapi"] == "3.0.0"
    assert set(whole["components"]["messages"]) == set(TYPES) == set(SENDERS)
    assert set(whole["channels"]["documents"]["messages"]) == set(TYPES)
    assert all(message["summary"] for message in whole["components"]["messages"].values())


def test_every_reference_resolves() -> None:
    whole = document()
    found = _references(whole)
    assert len(found) >= 30
    for reference in found:
        assert _resolve(whole, reference), reference


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.type)
def test_real_messages_match_their_schema(sample: Event) -> None:
    message = json.loads(sample.to_json("tests"))
    _validator(sample.type).validate(message)
    without_id = {key: value for key, value in message.items() if key != "id"}
    assert not _validator(sample.type).is_valid(without_id)
    assert not _validator(sample.type).is_valid(message | {"type": "something.else.v1"})


def test_every_service_that_builds_an_event_is_a_sender() -> None:
    names = {event.__name__: name for name, event in TYPES.items()}
    found = 0
    for path in sorted((ROOT / "services").glob("*/*.py")):
        service = path.parent.name
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                found += 1
                name = names[ast.unparse(node.func)]
                assert service in SENDERS[name], f"{path.name} of {service} sends {name}"
    assert found >= 3
