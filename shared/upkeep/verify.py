"""Whether the rows, blobs and events of a place agree, and what of it can be put right.

All that is found is looked at twice where a suite may be at work: what only one of the two looks
finds was on its way.

The only source of a repair is what is whole still. A blob that follows from others is made anew:
the document is read, or worked on, once more. The bytes that somebody uploaded follow from nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from shared.bus import Bus
from shared.events import BlobRef
from shared.storage import BlobStore, MissingBlob, Store, trail
from shared.storage.deletion import OWNERS, deletion_mark, ref_of
from shared.upkeep.faults import Fault, Kind, Repair
from shared.upkeep.holdings import Blob, Held, Known

_HASH = re.compile(rb"[0-9a-f]{64}")
_CHUNK = 1 << 20
_MISSING = "is missing"
NAMED = 5
"""Documents that a note names at most."""


class Mender(Protocol):
    """What ingest does to put a document right: see services/ingest/mending.py."""

    def anew(self, tenant: str, document_id: str) -> bool:
        """Begin a new attempt, reading included. False if there is no such document."""

    def announce(self, tenant: str, document_id: str) -> bool:
        """Say once more what comes next in this attempt. False if there is no such document."""

    def forget(self, tenant: str, document_id: str) -> bool:
        """Say once more that a document is deleted."""

    def remove(self, tenant: str, ref: BlobRef) -> bool:
        """Remove a blob of ingest's own. False if a document names it after all."""


@dataclass(frozen=True)
class House:
    """One service: its database and how to list what it holds."""

    name: str
    store: Store
    held: Callable[[Any], Iterator[Held]]


@dataclass(frozen=True)
class Place:
    """All that is looked at.

    Args:
        ingest: ingest's database.
        known: lists its documents.
        houses: the other services.
        blobs: gives the blob store as one service sees it; ingest's name is empty.
        listed: every blob that lies there, with its tenant and its age in seconds.
        bus: what carries their events.
        mender: puts right what can be.
    """

    ingest: Store
    known: Callable[[Any], Iterator[Known]]
    houses: Sequence[House]
    blobs: Callable[[str], BlobStore]
    listed: Callable[[], Iterator[tuple[str, BlobRef, float]]]
    bus: Bus
    mender: Mender

    @property
    def stores(self) -> Iterator[tuple[str, Store]]:
        """Every database with the name of its service."""
        yield "ingest", self.ingest
        for house in self.houses:
            yield house.name, house.store


@dataclass(frozen=True)
class Rules:
    """When something is a fault: ages in seconds.

    `orphan` is how old a blob without a row is, `stuck` for how long nothing has happened to a
    document that has not ended. `hashes` says whether every blob is read, or only looked for.
    """

    orphan: float = 3600.0
    stuck: float = 600.0
    hashes: bool = True


@dataclass
class Looked:
    """What was looked at, and what was found."""

    documents: int = 0
    blobs: int = 0
    bytes: int = 0
    unsent: dict[str, int] = field(default_factory=dict)
    """Events in the outbox that are yet to be sent, by service; none of them is a fault."""
    unhandled: dict[str, int] = field(default_factory=dict)
    """Events on the bus that a service has yet to handle, by service; no fault either."""
    moving: int | None = 0
    """Documents that such events are about; None where that can't be told."""
    whole: bool = True
    """Whether all was looked at, and not the blobs alone."""
    counted: bool = True
    """Whether the counts above are known; not where a database is damaged."""
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Events on their way: one that two services have yet to handle counts twice."""
        return sum(self.unsent.values()) + sum(self.unhandled.values())


def verify(place: Place, rules: Rules, settle: float = 0.0) -> Looked:
    """Look at everything; with `settle` seconds, look again, and keep what both looks found."""
    found = _look(place, rules)
    if found.faults and settle:
        time.sleep(settle)
        before = found
        known = {fault.same for fault in before.faults}
        found = _look(place, rules)
        found.faults = [fault for fault in found.faults if fault.same in known]
        found.whole = found.whole and before.whole
    if not found.whole:
        found.notes.append(
            "whether documents are stuck, and results lost or stray, was not looked at: on a broker"
            " that can be told only while nothing is yet to be handled; look again then"
        )
    return found


def unlooked(broken: list[Fault]) -> Looked:
    """What is said where a database is damaged: nothing else was looked at."""
    note = "a database is damaged: nothing else was looked at"
    return Looked(moving=None, whole=False, counted=False, notes=[note], faults=broken)


def repair(place: Place, faults: Sequence[Fault], orphan: float = Rules.orphan) -> list[bool]:
    """Put right what can be, in order. Since the look a suite may have gone on for hours: what is
    removed is looked at again.

    Args:
        orphan: how many seconds ago a blob without a row was put at the least.

    Returns:
        For each fault whether that was done.
    """
    done: dict[tuple[str, str, str], bool] = {}
    orphans = _Orphans(place, faults, orphan)
    return [_repaired(place, fault, done, orphans) for fault in faults]


def check_files(files: Mapping[str, Path]) -> Iterator[Fault]:
    """Whether SQLite finds its own files whole; `files` by service."""
    for service, path in files.items():
        problem = _integrity(path)
        if problem is not None:
            yield Fault(
                "broken_database",
                service,
                f"{path} is damaged ({problem}): restore the place from a backup",
            )


def _integrity(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                return str(said)
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                return "a row refers to one that is not there"
    except sqlite3.Error as error:
        return str(error)
    return None


@dataclass
class _Rows:
    """What the services say, read once through: others first, so that ingest knows them all.
    `begun` is when that began.
    """

    begun: datetime

    known: dict[tuple[str, str], Known]
    held: list[tuple[str, Held]]
    unsent: set[str]
    """Keys with events that are yet to be sent."""
    pending: frozenset[str] | None = None
    """Keys with events that somebody has yet to handle; None if that can't be told."""


def _look(place: Place, rules: Rules) -> Looked:
    looked = Looked()
    rows = _read(place, looked)
    _add_pending(place, rows, looked)
    looked.documents = len(rows.known)
    faults = looked.faults
    faults += _blob_faults(place, rules, rows, looked)
    faults += _orphans(place, rules, rows)
    if rows.pending is None:
        looked.whole = False
        return looked
    faults += _stuck(rules, rows)
    faults += _lost(rows)
    faults += _stray(rules, rows)
    looked.notes += _unsure(rows)
    return looked


def _read(place: Place, looked: Looked) -> _Rows:
    begun = datetime.now(UTC)
    held: list[tuple[str, Held]] = []
    unsent: set[str] = set()
    for house in place.houses:
        with house.store.read() as session:
            held += [(house.name, one) for one in house.held(session)]
    with place.ingest.read() as session:
        known = {(one.tenant, one.id): one for one in place.known(session)}
    for name, store in place.stores:
        looked.unsent[name] = 0
        for event in trail.said(store):
            if not event.sent:
                unsent.add(event.key)
                looked.unsent[name] += 1
    return _Rows(begun, known, held, unsent)


def _said(place: Place, hashes: Collection[str]) -> set[str]:
    """Those of these hashes that any event in an outbox names."""
    said: set[str] = set()
    for _, store in place.stores if hashes else ():
        for event in trail.said(store):
            said |= {
                name for found in _HASH.findall(event.value) if (name := found.decode()) in hashes
            }
    return said


def _add_pending(place: Place, rows: _Rows, looked: Looked) -> None:
    names = ["ingest", *(house.name for house in place.houses)]
    pending = place.bus.pending(names)
    looked.unhandled = dict(pending.messages)
    looked.moving = None if pending.keys is None else len(rows.unsent | pending.keys)
    _note(looked.notes, "yet to be sent", looked.unsent, "its relay does so")
    _note(looked.notes, "yet to be handled", looked.unhandled, "the service does so")
    rows.pending = pending.keys


def _note(notes: list[str], what: str, counts: Mapping[str, int], who: str) -> None:
    """Say how many events wait for what, and who sees to it."""
    if some := [f"{name} {count}" for name, count in counts.items() if count]:
        notes.append(f"events {what}: {', '.join(some)}; {who} while it runs")


# Blobs


def _blob_faults(place: Place, rules: Rules, rows: _Rows, looked: Looked) -> Iterator[Fault]:
    states = _states(place, rules, rows, looked)
    wrong = [
        (service, one, what, ref, state)
        for service, one, what, ref in _needed(rows)
        if (state := states.get((one.tenant, ref)))
    ]
    # The bytes of an upload follow from nothing, nor does what else has the same bytes, nor what is
    # made of them.
    lost = [(one, ref) for service, one, what, ref, _ in wrong if _mend_of(service, what) is None]
    gone = {(one.tenant, ref) for one, ref in lost}
    hopeless = {(one.tenant, one.id) for one, _ in lost}
    for service, one, what, ref, state in wrong:
        mend = _mend_of(service, what)
        if (one.tenant, ref) in gone or (one.tenant, one.id) in hopeless:
            mend = None
        kind: Kind = "missing_blob" if state == _MISSING else "damaged_blob"
        advice = "" if mend else ": restore it from a backup, or upload the document again"
        detail = f"the {what} of document {one.id} {state}{advice}"
        yield Fault(kind, service, detail, one.tenant, one.id, ref.ref, mend)


def _needed(rows: _Rows) -> Iterator[tuple[str, Known | Held, str, Blob]]:
    """Every blob that a row requires: the service, the row, what it is, and the blob."""
    for known in rows.known.values():
        yield from (("ingest", known, what, ref) for what, ref in known.required)
    for service, held in rows.held:
        yield from ((service, held, what, ref) for what, ref in held.required)


def _states(place: Place, rules: Rules, rows: _Rows, looked: Looked) -> dict[tuple[str, Blob], str]:
    """What is wrong with blobs that are required, by tenant; each is looked at once."""
    blobs, seen = place.blobs(""), defaultdict[str, set[Blob]](set)
    states: dict[tuple[str, Blob], str] = {}
    for _, one, _, ref in _needed(rows):
        if ref in seen[one.tenant]:
            continue
        seen[one.tenant].add(ref)
        if state := _state(blobs, one.tenant, ref.ref, rules.hashes):
            states[one.tenant, ref] = state
        looked.blobs += 1
        looked.bytes += ref.size
    return states


def _mend_of(service: str, what: str) -> Repair | None:
    """What makes such a blob again."""
    if service == "ingest":
        return "anew" if what in ("text", "layout") else None
    return "announce" if service in ("extraction", "triage") else None


def _state(blobs: BlobStore, tenant: str, ref: BlobRef, hashes: bool) -> str | None:
    """What is wrong with a blob."""
    try:
        with blobs.open(tenant, ref) as stream:
            if not hashes:
                size = stream.seek(0, os.SEEK_END)
                return None if size == ref.size else f"has {size} bytes, not {ref.size}"
            digest = hashlib.sha256()
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except MissingBlob:
        return _MISSING
    return None if digest.hexdigest() == ref.sha256 else "is not what its hash says"


def _orphans(place: Place, rules: Rules, rows: _Rows) -> Iterator[Fault]:
    """Blobs that no row and no event names, and that were old when the rows were read: what was put
    since may have its row by now. Half of what a killed process did is no fault of anybody; it only
    takes room.
    """
    named = defaultdict[tuple[str, str], set[str]](set)
    for tenant, owner, sha256 in _named(rows):
        named[tenant, owner].add(sha256)
    everybodys = ref_of(b"[]").sha256
    unnamed = [
        (tenant, ref, age)
        for tenant, ref, age in place.listed()
        if age - (datetime.now(UTC) - rows.begun).total_seconds() >= rules.orphan
        and ref.sha256 not in named[tenant, ref.owner]
        and ref.sha256 != everybodys
    ]
    said = _said(place, {ref.sha256 for _, ref, _ in unnamed})
    for tenant, ref, age in unnamed:
        if ref.sha256 not in said:
            detail = f"no row names this blob, which is {timedelta(seconds=int(age))} old"
            yield Fault("orphan", ref.owner or "ingest", detail, tenant, "", ref, "remove")


def _named(rows: _Rows) -> Iterator[tuple[str, str, str]]:
    """Tenant, owner and hash of every blob that a row names, or that marks what it deleted."""
    every: Iterator[Known | Held] = chain(rows.known.values(), (held for _, held in rows.held))
    for one in every:
        yield from ((one.tenant, ref.owner, ref.sha256) for _, ref in one.required)
        yield from ((one.tenant, ref.owner, ref.sha256) for ref in one.noted)
    for tenant, mark in _marks(rows):
        yield tenant, mark.owner, mark.sha256


def _marks(rows: _Rows) -> Iterator[tuple[str, BlobRef]]:
    for known in rows.known.values():
        if not known.living:
            yield from ((known.tenant, deletion_mark(known.tenant, known.id, o)) for o in OWNERS)
    for service, held in rows.held:
        if not held.alive:
            yield held.tenant, deletion_mark(held.tenant, held.id, service)


# Documents and results


def _stuck(rules: Rules, rows: _Rows) -> Iterator[Fault]:
    before = datetime.now(UTC) - timedelta(seconds=rules.stuck)
    for one in rows.known.values():
        if not one.living or one.ended or one.changed > before or _on_its_way(rows, one):
            continue
        detail = (
            f"document {one.id} has not ended, nothing has happened to it since"
            f" {one.changed:%Y-%m-%d %H:%M} UTC, and no event about it is on its way"
        )
        yield Fault("stuck", "ingest", detail, one.tenant, one.id, None, "announce")


def _lost(rows: _Rows) -> Iterator[Fault]:
    """Results that ingest has heard of, and their service does not have."""
    done: dict[tuple[str, str, str], int] = {
        (service, one.tenant, one.id): one.attempt or 0 for service, one in rows.held if one.done
    }
    deleted = {(service, one.tenant, one.id) for service, one in rows.held if not one.alive}
    for one in rows.known.values():
        if not one.living or not one.ended or _on_its_way(rows, one):
            continue
        for service in sorted(one.results):
            which = (service, one.tenant, one.id)
            if done.get(which, 0) >= one.attempt:
                continue
            detail = f"document {one.id} has ended with a result that {service} does not have"
            mend: Repair | None = "announce"
            if which in deleted:
                mend = None
                detail += ", which takes it for deleted: delete it, and upload it again"
            yield Fault("lost_result", service, detail, one.tenant, one.id, None, mend)


def _stray(rules: Rules, rows: _Rows) -> Iterator[Fault]:
    """Results of documents that are deleted, or that ingest has never heard of."""
    for service, held in rows.held:
        known = rows.known.get((held.tenant, held.id))
        if not held.alive or (known and known.living) or _on_its_way(rows, held):
            continue
        why = "is deleted" if known else "ingest does not know"
        detail = f"{service} holds results of document {held.id}, which {why}"
        yield Fault("stray_result", service, detail, held.tenant, held.id, None, "forget")
    before = datetime.now(UTC) - timedelta(seconds=rules.stuck)
    for one in rows.known.values():
        left = not one.living and not one.purged and one.changed < before
        if left and not _on_its_way(rows, one):
            detail = f"document {one.id} is deleted, and its bytes are still there"
            yield Fault("not_purged", "ingest", detail, one.tenant, one.id, None, "forget")


def _unsure(rows: _Rows) -> Iterator[str]:
    """How many documents have accepted results though their kind is unsure, as older versions left
    them: no fault, for what is accepted stays so until a document is read again.
    """
    accepted = {(held.tenant, held.id) for _, held in rows.held if held.accepted}
    found = [
        one.id
        for key, one in rows.known.items()
        if one.living and one.kind_unsure and key in accepted and not _on_its_way(rows, one)
    ]
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        yield (
            f"documents of an unsure kind of which an older version has accepted results without a"
            f" person: {len(found)} ({', '.join(found[:NAMED])}{more}); answer the question about"
            " the kind in the review queue, or have each read again (POST"
            " /v1/documents/ID/reprocess)"
        )


def _on_its_way(rows: _Rows, one: Known | Held) -> bool:
    key = f"{one.tenant}/{one.id}"
    return key in rows.unsent or key in (rows.pending or ())


# Repairs


class _Orphans:
    """Removes blobs that no row names, still. A blob is put before its row is committed, in less
    time than an orphan is old: what was put before that, and had no row after it, gets none.
    """

    def __init__(self, place: Place, faults: Sequence[Fault], orphan: float) -> None:
        self.place = place
        gone = [(one.tenant, one.blob) for one in faults if one.repair == "remove" and one.blob]
        self.named: set[tuple[str, str, str]] = set()
        """By tenant, owner and hash: how many bytes a damaged one has, its row does not say."""
        if gone:
            rows = _read(place, Looked())
            self.before = rows.begun - timedelta(seconds=orphan)
            keys = {(tenant, ref.owner, ref.sha256) for tenant, ref in gone}
            self.named = {key for key in _named(rows) if key in keys}
            said = _said(place, {sha256 for *_, sha256 in keys})
            self.named |= {key for key in keys if key[2] in said}

    def remove(self, tenant: str, ref: BlobRef) -> bool:
        """Whether it is gone."""
        if (tenant, ref.owner, ref.sha256) in self.named:
            return False
        if ref.owner:
            return self.place.blobs(ref.owner).delete_older(tenant, ref, self.before)
        return self.place.mender.remove(tenant, ref)


def _repaired(
    place: Place, fault: Fault, done: dict[tuple[str, str, str], bool], orphans: _Orphans
) -> bool:
    """One repair; the same thing is done once to a document, however many faults ask for it."""
    if fault.repair is None:
        return False
    if fault.repair == "remove":
        assert fault.blob is not None
        return orphans.remove(fault.tenant, fault.blob)
    if fault.kind == "damaged_blob" and fault.blob is not None:
        state = _state(place.blobs(""), fault.tenant, fault.blob, hashes=True)
        if state is None:
            return True  # somebody has written it anew meanwhile
        if state != _MISSING:  # so that it is written anew
            place.blobs(fault.blob.owner).delete(fault.tenant, fault.blob)
    asked = (fault.repair, fault.tenant, fault.document)
    if fault.repair == "announce" and ("anew", *asked[1:]) in done:
        return True  # it is worked on from its beginning
    if asked not in done:
        do = getattr(place.mender, fault.repair)
        done[asked] = bool(do(fault.tenant, fault.document))
    return done[asked]
