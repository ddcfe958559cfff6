"""One OpenAPI document for the whole suite, merged from the documents of its services."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from shared.version import VERSION

_ABOUT = (
    "All routes of smallprint. Send a key as `Authorization: Bearer KEY`. Each route names the "
    "scope that the key needs (`x-scope`)."
)
_TAGS = {
    "documents": "Upload documents, follow their progress, and read their text and pages.",
    "uploads": "Upload large documents in pieces, by tus 1.0.",
    "search": "Search the texts and the clauses.",
    "clauses": "The clauses and values of contracts.",
    "findings": "The statements, findings and signals of reports.",
    "queue": "Results that wait for a person.",
    "decisions": "Decisions, exports and error rates.",
    "webhooks": "Signed messages to your own server.",
    "retention": "Retention rules and deleted documents.",
    "users": "People and their roles.",
    "keys": "Keys and their scopes.",
    "session": "Signing in, and sessions of browsers.",
    "escalation": "Questions to frontier models, their costs and rules.",
    "watch": "Whether stated risks are kept.",
    "operation": "Health, metrics and the events of a document.",
}


def merge(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return one OpenAPI document for all services.

    Schemas that have the same name but differ get the name of their service in front.

    Args:
        documents: the OpenAPI document of each service by its name.
    """
    clashing = _clashing(documents)
    merged: dict[str, Any] = {"paths": {}, "webhooks": {}}
    schemas: dict[str, Any] = {}
    components: dict[str, Any] = {}
    for service, document in documents.items():
        renamed = json.loads(_renamed(document, service, clashing))
        for section in ("paths", "webhooks"):
            merged[section] |= renamed.get(section, {})
        components |= renamed["components"]
        for name, schema in renamed["components"]["schemas"].items():
            schemas[_name(name, service, clashing)] = (
                {**schema, "title": _name(name, service, clashing)} if name in clashing else schema
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": "smallprint", "version": VERSION, "description": _ABOUT},
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        **merged,
        "components": {**components, "schemas": schemas},
    }


def _clashing(documents: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The names of schemas that differ, themselves or by a schema that they refer to."""
    clashing: frozenset[str] = frozenset()
    while True:
        bodies = defaultdict(set)
        for service, document in documents.items():
            for name, schema in document["components"]["schemas"].items():
                bodies[name].add(_renamed(schema, service, clashing))
        found = frozenset(name for name, forms in bodies.items() if len(forms) > 1)
        if found <= clashing:
            return clashing
        clashing |= found


def _renamed(value: Any, service: str, clashing: frozenset[str]) -> str:
    """A value as JSON, with the new names in its references."""
    text = json.dumps(value, sort_keys=True)
    for name in clashing:
        text = text.replace(f'/schemas/{name}"', f'/schemas/{_name(name, service, clashing)}"')
    return text


def _name(name: str, service: str, clashing: frozenset[str]) -> str:
    return f"{service.capitalize()}{name}" if name in clashing else name
