"""Writes the AsyncAPI 3.0 document of the suite from the event models.

    python -m shared.events.asyncapi            prints it
    python -m shared.events.asyncapi --write    writes asyncapi.json beside this file

`tests/contract/events` fails when the committed file is out of date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from shared.events.envelope import ENVELOPE_ONLY, Envelope, Event
from shared.events.types import TYPES

FILE = Path(__file__).with_name("asyncapi.json")

SENDERS = {
    "document.ingested.v1": ["ingest"],
    "document.begun.v1": ["ingest"],
    "document.read.v1": ["ingest"],
    "document.rekinded.v1": ["ingest"],
    "document.assigned.v1": ["ingest"],
    "document.failed.v1": ["ingest", "extraction", "triage", "review", "escalation"],
    "document.deleted.v1": ["ingest"],
    "clauses.extracted.v1": ["extraction"],
    "findings.found.v1": ["triage"],
    "escalation.requested.v1": ["ingest", "extraction", "triage"],
    "escalation.answered.v1": ["escalation"],
    "review.decided.v1": ["review"],
}
"""Which services send each event."""

_CHANNEL = {"$ref": "#/channels/documents"}


def document() -> dict[str, Any]:
    """Return the document as JSON data."""
    components: dict[str, Any] = {"schemas": {}, "messages": {}}
    for name, event in TYPES.items():
        components["schemas"][name] = _data_schema(event, components["schemas"])
        components["messages"][name] = _message(name, event)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "smallprint events",
            "version": "1",
            "license": {"name": "Apache-2.0"},
            "description": (
                "Events between services: CloudEvents 1.0 in structured JSON, at "
                "least once, in the order of each document. An event with a known id "
                "has no further effect. A new optional field keeps the version of a "
                "type; a changed meaning is a new version."
            ),
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "documents": {
                "address": "documents",
                "description": (
                    "Everything that happens to documents, keyed by `tenant/document id`. Each "
                    "service retries and gives up events in its own inbox."
                ),
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in TYPES},
            }
        },
        "operations": _operations(),
        "components": components,
    }


def rendered() -> str:
    """Return the text of the document's file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _operations() -> dict[str, Any]:
    services = sorted({service for senders in SENDERS.values() for service in senders})
    return {
        f"{service}.send": {
            "action": "send",
            "channel": _CHANNEL,
            "summary": f"Events of {service}.",
            "messages": [
                {"$ref": f"#/channels/documents/messages/{name}"}
                for name, senders in SENDERS.items()
                if service in senders
            ],
        }
        for service in services
    } | {
        "any.receive": {
            "action": "receive",
            "channel": _CHANNEL,
            "summary": "Every service receives all events.",
        }
    }


def _data_schema(event: type[Event], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an event's data; its models go to the components."""
    schema = event.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schema["properties"] = {
        name: part for name, part in schema["properties"].items() if name not in ENVELOPE_ONLY
    }
    schema["required"] = [name for name in schema.get("required", []) if name not in ENVELOPE_ONLY]
    return {key: value for key, value in schema.items() if value != []}


def _message(name: str, event: type[Event]) -> dict[str, Any]:
    payload = Envelope.model_json_schema()
    payload["title"] = name
    payload["properties"]["type"] = {"const": name}
    payload["properties"]["data"] = {"$ref": f"#/components/schemas/{name}"}
    return {
        "name": name,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/cloudevents+json",
        "payload": payload,
    }


def main() -> None:
    """Print the document, or write its file."""
    if "--write" in sys.argv[1:]:
        FILE.write_text(rendered(), "utf-8")
    else:
        sys.stdout.write(rendered())


if __name__ == "__main__":
    main()
