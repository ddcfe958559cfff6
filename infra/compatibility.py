"""Check that HTTP interface, events and migrations are compatible with the last release.

`infra/released/` has the OpenAPI documents of the last release. `python -m infra.compatibility`
names every change that could break a program written for them, and exits with 1 if there is one. A
breaking change needs a new version (semantic versioning: the first number, or the second one while
the first is 0). `make release` writes the documents of a release.

A breaking change is

* a removed path, method, parameter, property, media type, success status, documented header or
  webhook message, or a new requirement to sign in;
* in requests: a value that is no longer accepted, a new required parameter or property, or another
  default;
* in answers: a value outside the documented ones, a property that may now be missing or null, or a
  new value of an enumeration.

New paths, optional parameters, properties of answers and problem statuses are compatible.

Events are compared with `infra/released/events/` in both directions: old events may be on the bus
after an upgrade, and new ones may reach programs of the last release. A changed meaning is a new
version of the type, beside the old one.

A database of the last release has run its migrations. So a released migration never changes:
`infra/released/migrations/sha256.json` has the hash of each.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.artefacts.loader import sha256

ROOT = Path(__file__).resolve().parent.parent
RELEASED = Path(__file__).resolve().parent / "released"
RELEASED_EVENTS = RELEASED / "events" / "asyncapi.json"
EVENTS = ROOT / "shared" / "events" / "asyncapi.json"
RELEASED_MIGRATIONS = RELEASED / "migrations" / "sha256.json"
FIRST_TABLES = ROOT / "shared" / "messaging" / "first_tables.py"

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME = ("pattern", "format", "multipleOf")


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The changes between two OpenAPI documents that could break a client.

    Args:
        old: the document of the last release.
        new: the document of today.

    Returns:
        Sorted lines `where: what`; none if no change can break a client.
    """
    return sorted(set(_Comparison(old, new).all()))


@dataclass(frozen=True)
class _Comparison:
    """Compares two documents: each receiver's schema must accept the sender's values."""

    old: dict[str, Any]
    new: dict[str, Any]

    def all(self) -> Iterator[str]:
        old, new = _operations(self.old, "paths"), _operations(self.new, "paths")
        for name, before in old.items():
            if name not in new:
                yield f"{name}: is gone"
                continue
            yield from self._operation(name, before, new[name])
        old, new = _operations(self.old, "webhooks"), _operations(self.new, "webhooks")
        for name, before in old.items():
            if name not in new:
                yield f"webhook {name}: is gone"
                continue
            yield from self._content(f"webhook {name}", _body(before), _body(new[name]), sent=True)

    def _operation(self, name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        yield from self._parameters(name, old, new)
        yield from self._request(name, _body(old), _body(new))
        yield from self._answers(name, old["responses"], new["responses"])
        if "{}" not in _ways_in(new) and not _ways_in(old) <= _ways_in(new):
            yield f"{name}: a way to sign in (or not to) is gone"

    def _parameters(self, name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        before, after = _parameters(old), _parameters(new)
        for key, parameter in before.items():
            where = f"{name}, {key[0]} parameter {key[1]}"
            if key not in after:
                yield f"{where}: is gone"
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield f"{where}: is required now"
            yield from self._schemas(where, parameter["schema"], after[key]["schema"], sent=False)
        for key in after.keys() - before.keys():
            if after[key].get("required"):
                yield f"{name}, {key[0]} parameter {key[1]}: is new and required"

    def _request(self, name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        if new.get("required") and not old.get("required"):
            yield f"{name}, body: is required now"
        yield from self._content(f"{name}, body", old, new, sent=False)

    def _answers(self, name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        for status, before in old.items():
            where = f"{name}, answer {status}"
            if status not in new:
                if status.startswith(("2", "3")):
                    yield f"{where}: is gone"
                continue
            yield from self._content(where, before, new[status], sent=True)
            for header in before.get("headers", {}).keys() - new[status].get("headers", {}).keys():
                yield f"{where}, header {header}: is gone"

    def _content(
        self, where: str, old: dict[str, Any], new: dict[str, Any], *, sent: bool
    ) -> Iterator[str]:
        after = new.get("content", {})
        for media_type, before in old.get("content", {}).items():
            if media_type not in after:
                yield f"{where}: {media_type} is gone"
            elif "schema" in before and "schema" in after[media_type]:
                yield from self._schemas(
                    where, before["schema"], after[media_type]["schema"], sent=sent
                )

    def _schemas(self, where: str, old: Any, new: Any, *, sent: bool) -> Iterator[str]:
        """Compare two schemas of values that we send, or receive."""
        one, two = _Side(self.old, old, "before"), _Side(self.new, new, "now")
        yield from _uncovered(where, *((one, two) if sent else (two, one)), frozenset())


@dataclass(frozen=True)
class _Side:
    """A schema with the document for its references; `when` is `before` or `now`."""

    document: dict[str, Any]
    schema: Any
    when: str

    def inner(self, schema: Any) -> _Side:
        return _Side(self.document, schema, self.when)

    def alternatives(self) -> list[_Side]:
        """The alternatives of the schema, without references and with a single type each."""
        schema = self.schema
        if schema is True:
            schema = {}
        while "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**_at(self.document, schema["$ref"]), **rest}
        for word in ("anyOf", "oneOf"):
            if word in schema:
                rest = {key: value for key, value in schema.items() if key != word}
                return [
                    one
                    for choice in schema[word]
                    for one in self.inner(_merged(rest, choice)).alternatives()
                ]
        if isinstance(schema.get("type"), list):
            return [self.inner({**schema, "type": one}) for one in schema["type"]]
        return [self.inner(schema)]


def _uncovered(
    where: str, taker: _Side, giver: _Side, seen: frozenset[tuple[str, str]]
) -> Iterator[str]:
    """Why a value of the giver's schema may not be accepted by the taker's schema."""
    mark = (json.dumps(taker.schema, sort_keys=True), json.dumps(giver.schema, sort_keys=True))
    if mark in seen:
        return  # a recursive schema
    seen |= {mark}
    old, new = _default(giver), _default(taker)
    if giver.when == "before" and old != new:
        yield f"{where}: the default is {new} now, before it was {old}"
    takers = taker.alternatives()
    for given in giver.alternatives():
        reasons = [list(_one_uncovered(where, taken, given, seen)) for taken in takers]
        if not all(reasons):
            continue
        alike = [
            why
            for why, taken in zip(reasons, takers, strict=True)
            if taken.schema.get("type") == given.schema.get("type")
        ]
        if len(alike) == 1 or len(takers) == 1:
            yield from alike[0] if len(alike) == 1 else reasons[0]
        else:
            yield f"{where}: {_shown(given.schema)} {_change(taker, giver)}"


def _one_uncovered(
    where: str, taker: _Side, giver: _Side, seen: frozenset[tuple[str, str]]
) -> Iterator[str]:
    """Like `_uncovered`, for two schemas with a single type each."""
    takes, gives = taker.schema, giver.schema
    if not _type_fits(takes.get("type"), gives.get("type")):
        yield f"{where}: {gives.get('type', 'anything')} {_change(taker, giver)}"
        return
    values = _values(takes)
    if values is not None:
        given = _values(gives)
        for value in sorted(set(given or ()) - set(values)) or ([] if given else ["any value"]):
            yield f"{where}: {value} {_change(taker, giver)}"
    for word in (*_LEAST, *_MOST, *_SAME):
        if not _bound_fits(word, takes.get(word), gives.get(word)):
            yield (
                f"{where}: {word} is {_shown(takes.get(word))} {taker.when},"
                f" {_shown(gives.get(word))} {giver.when}"
            )
    if "items" in takes:
        inner = giver.inner(gives.get("items", {}))
        yield from _uncovered(f"{where}[]", taker.inner(takes["items"]), inner, seen)
    yield from _properties(where, taker, giver, seen)


def _properties(
    where: str, taker: _Side, giver: _Side, seen: frozenset[tuple[str, str]]
) -> Iterator[str]:
    takes, gives = taker.schema.get("properties", {}), giver.schema.get("properties", {})
    old, new = (takes, gives) if taker.when == "before" else (gives, takes)
    for name in sorted(old.keys() - new.keys()):
        yield f"{where}.{name}: is gone"
    needed = set(taker.schema.get("required", ())) - set(giver.schema.get("required", ()))
    for name in sorted(needed - (old.keys() - new.keys())):
        what = "is required now" if taker.when == "now" else "may be missing now"
        yield f"{where}.{name}: {what}"
    for name in sorted(takes.keys() & gives.keys()):
        inner = (taker.inner(takes[name]), giver.inner(gives[name]))
        yield from _uncovered(f"{where}.{name}", *inner, seen)
    others, mine = (side.schema.get("additionalProperties", True) for side in (taker, giver))
    if others is False:
        more = sorted(gives.keys() - takes.keys()) if taker.when == "before" else []
        more += ["any other property"] if mine is not False and "type" in giver.schema else []
        for name in more:
            yield f"{where}: {name} {_change(taker, giver)}"
    elif isinstance(others, dict) and mine is not False:
        yield from _uncovered(f"{where}.*", taker.inner(others), giver.inner(mine), seen)


def _change(taker: _Side, giver: _Side) -> str:
    if giver.when == "now":
        return "may be answered now"
    assert taker.when == "now"
    return "is not taken now"


def _type_fits(takes: str | None, gives: str | None) -> bool:
    return takes is None or takes == gives or (takes, gives) == ("number", "integer")


def _bound_fits(word: str, takes: Any, gives: Any) -> bool:
    if takes is None or takes == gives:
        return True
    if gives is None or word in _SAME:
        return False
    return bool(takes <= gives if word in _LEAST else takes >= gives)


def _values(schema: dict[str, Any]) -> list[str] | None:
    if "const" in schema:
        return [_shown(schema["const"])]
    return [_shown(value) for value in schema["enum"]] if "enum" in schema else None


def _merged(rest: dict[str, Any], choice: Any) -> Any:
    """One alternative with the conditions beside the choice. Titles and the like are dropped."""
    kept = {key: value for key, value in rest.items() if key in ("type", "properties", "required")}
    return {**kept, **choice} if kept else choice


def _default(side: _Side) -> str:
    """The default as text; null equals none."""
    return _shown(side.schema.get("default") if isinstance(side.schema, dict) else None)


def _at(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def _operations(document: dict[str, Any], section: str) -> dict[str, Any]:
    """Operations by method and path. The names of path parameters are ignored."""
    return {
        f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}": {**operation, "path": path}
        for path, operations in document.get(section, {}).items()
        for method, operation in operations.items()
        if method in _METHODS
    }


def _parameters(operation: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Parameters by place and name; path parameters by number."""
    order = re.findall(r"{([^}]*)}", operation["path"])
    return {
        (one["in"], str(order.index(one["name"])) if one["in"] == "path" else one["name"]): one
        for one in operation.get("parameters", ())
    }


def _body(operation: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = operation.get("requestBody", {})
    return body


def _ways_in(operation: dict[str, Any]) -> set[str]:
    return {json.dumps(way, sort_keys=True) for way in operation.get("security") or [{}]}


def _shown(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}…"


def event_breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The changes between two AsyncAPI documents that could break a reader of events.

    Args:
        old: the document of the last release.
        new: the document of today.
    """
    lines: set[str] = set()
    before, after = (document["components"]["messages"] for document in (old, new))
    for name, message in before.items():
        if name not in after:
            lines.add(f"{name}: is gone")
            continue
        one = _Side(old, message["payload"], "before")
        two = _Side(new, after[name]["payload"], "now")
        lines |= {
            *_uncovered(name, one, two, frozenset()),
            *_uncovered(name, two, one, frozenset()),
        }
    return sorted(lines)


def allows_breaks(old: str, new: str) -> bool:
    """Whether semantic versioning allows a break between two versions (`0.1.0`, `0.2.0`)."""
    before, after = ([int(part) for part in version.split(".")[:2]] for version in (old, new))
    return after[:1] > before[:1] or (before[0] == after[0] == 0 and after > before)


def broken(released: Path = RELEASED, services: Path = ROOT / "services") -> list[str]:
    """The breaking changes of each service since the last release that its version forbids."""
    lines = []
    for path in sorted(released.glob("*.json")):
        old = json.loads(path.read_text("utf-8"))
        now = services / path.stem / "openapi.json"
        if not now.is_file():
            lines.append(f"{path.stem}: the service is gone")
            continue
        new = json.loads(now.read_text("utf-8"))
        if not allows_breaks(old["info"]["version"], new["info"]["version"]):
            lines += [f"{path.stem}: {line}" for line in breaks(old, new)]
    return lines


def broken_events() -> list[str]:
    """The breaking changes of events since the last release. They always need a new event type."""
    old, new = (json.loads(path.read_text("utf-8")) for path in (RELEASED_EVENTS, EVENTS))
    return [f"events: {line}" for line in event_breaks(old, new)]


def migrations() -> dict[str, str]:
    """The hash (SHA-256) of each file that makes or changes tables, by its path."""
    paths = [*ROOT.glob("services/*/migrations/versions/*.py"), FIRST_TABLES]
    return {path.relative_to(ROOT).as_posix(): sha256(path) for path in sorted(paths)}


def changed_migrations(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The released migrations that have changed, or are gone."""
    return [
        f"{name}: has changed since its release" if name in new else f"{name}: is gone"
        for name, digest in old.items()
        if new.get(name) != digest
    ]


def keep_as_released() -> None:
    """Write OpenAPI, events and migrations of today as those of the last release."""
    for path in sorted((ROOT / "services").glob("*/openapi.json")):
        (RELEASED / f"{path.parent.name}.json").write_bytes(path.read_bytes())
    RELEASED_EVENTS.write_bytes(EVENTS.read_bytes())
    RELEASED_MIGRATIONS.write_text(json.dumps(migrations(), indent=1) + "\n", "utf-8")


def main() -> int:
    """Print all breaking changes. Returns the exit code."""
    released = json.loads(RELEASED_MIGRATIONS.read_text("utf-8"))
    lines = broken() + broken_events() + changed_migrations(released, migrations())
    for line in lines:
        print(line, file=sys.stderr)
    if lines:
        print(
            "a client or database of the last release would break. Keep the old form beside the new"
            " one, or raise VERSION in shared/version.py. For an event, make a new version of its"
            " type. For a migration, add a revision.",
            file=sys.stderr,
        )
    return int(bool(lines))


if __name__ == "__main__":
    raise SystemExit(main())
