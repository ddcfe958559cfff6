"""Check whether the rows, blobs and events of a deployment agree, and repair faults.

A running suite changes while it is checked. So everything is checked twice, and a fault counts only
if both checks find it.

A repair uses only intact data. Reading or processing a document again replaces a blob that was
derived from it. Uploaded bytes can't be replaced.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from services.cli.operations.backup_manifest import sha256_of
from services.cli.operations.faults import Fault, Kind, Repair
from services.cli.output.lines import minute
from services.escalation.store import holdings as escalation_references
from services.extraction.store import Extractions
from services.ingest.repair import Repairer
from services.ingest.store import holdings as ingest_documents
from services.review.store import holdings as review_references
from services.triage.store import Reports
from shared.blobs import BlobStore, MissingBlob, open_blobs
from shared.blobs.markers import OWNERS, deletion_mark, ref_of
from shared.blobs.references import Blob, BlobReference, DocumentBlobs
from shared.bus import Bus
from shared.events import BlobRef
from shared.messaging import Inbox, outbox
from shared.settings import CommonSettings
from shared.storage import Store

_HASH = re.compile(rb"[0-9a-f]{64}")
_MISSING = "is missing"
NAMED = 5  # documents that a note names at most


REFERENCES: Mapping[str, Callable[[Any], Iterator[BlobReference]]] = {
    "extraction": Extractions.blob_references,
    "triage": Reports.blob_references,
    "review": review_references,
    "escalation": escalation_references,
}
"""A function for each service that lists the blobs that its rows name."""


@dataclass(frozen=True)
class VerifiedDeployment:
    """The parts of a deployment to check.

    Args:
        stores: the databases by service, ingest's first.
        bus: carries their events.
        blobs: the blob store as a service sees it; ingest's name is empty.
    """

    stores: Mapping[str, Store]
    bus: Bus
    blobs: Callable[[str], BlobStore]

    @classmethod
    def of(
        cls, settings: CommonSettings, stores: Mapping[str, Store], bus: Bus
    ) -> VerifiedDeployment:
        """The deployment with these settings."""
        return cls(stores, bus, partial(open_blobs, settings.blobs_url, settings.blobs))

    @property
    def repairer(self) -> Repairer:
        """Repairs documents."""
        return Repairer(self.stores["ingest"], self.blobs(""))


@dataclass(frozen=True)
class Rules:
    """When something is a fault; ages in seconds.

    `orphan` is the age of a blob without a row, `stuck` the time since the last change of a
    document that has not ended. `hashes` also checks the content of blobs, not only their presence.
    """

    orphan: float = 3600.0
    stuck: float = 600.0
    hashes: bool = True


@dataclass
class VerificationResult:
    """The faults, and how much was checked."""

    documents: int = 0
    blobs: int = 0
    bytes: int = 0
    unsent: dict[str, int] = field(default_factory=dict)
    """Events in the outbox that are not sent yet, by service. They are no faults."""
    unhandled: dict[str, int] = field(default_factory=dict)
    """Events on the bus that a service has not handled yet, by service. They are no faults."""
    in_progress: int | None = 0  # documents of these events; None if unknown
    complete: bool = True  # whether everything was checked, and not only blobs
    counted: bool = True  # whether the counts above are known; false if a database is damaged
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Events in progress. An event that two services have not handled counts twice."""
        return sum(self.unsent.values()) + sum(self.unhandled.values())


def verify(deployment: VerifiedDeployment, rules: Rules, settle: float = 0.0) -> VerificationResult:
    """Check everything. With `settle` seconds, check again and keep the faults of both checks."""
    result = _check(deployment, rules)
    if result.faults and settle:
        time.sleep(settle)
        before = result
        seen = {fault.same for fault in before.faults}
        result = _check(deployment, rules)
        result.faults = [fault for fault in result.faults if fault.same in seen]
        result.complete = result.complete and before.complete
    if not result.complete:
        result.notes.append(
            "stuck documents and lost or stray results were not checked: with a broker that is "
            "only possible after all events are handled; verify again then"
        )
    return result


def unchecked(broken: list[Fault]) -> VerificationResult:
    """The result if a database is damaged: nothing else was checked."""
    note = "a database is damaged: nothing else was checked"
    return VerificationResult(
        in_progress=None, complete=False, counted=False, notes=[note], faults=broken
    )


def repair(
    deployment: VerifiedDeployment, faults: Sequence[Fault], orphan: float = Rules.orphan
) -> list[bool]:
    """Make all possible repairs, in order. A blob is checked again before it is removed.

    Args:
        orphan: seconds since a blob without a row was written, at least.

    Returns:
        For each fault whether it was repaired.
    """
    done: dict[tuple[str, str, str], bool] = {}
    orphans = _Orphans(deployment, faults, orphan)
    return [_repaired(deployment, fault, done, orphans) for fault in faults]


def check_files(files: Mapping[str, Path]) -> Iterator[Fault]:
    """Check the integrity of SQLite files; `files` by service."""
    for service, path in files.items():
        problem = _integrity(path)
        if problem is not None:
            yield Fault(
                "broken_database",
                service,
                f"{path} is damaged ({problem}): restore the deployment from a backup",
            )


def _integrity(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if answer != "ok":
                return str(answer)
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                return "a row refers to a missing one"
    except sqlite3.Error as error:
        return str(error)
    return None


@dataclass
class _Rows:
    """The rows of all services. Ingest is read last, so that it knows all documents of the others.
    `begun` is when the reading began.
    """

    started: datetime

    documents: dict[tuple[str, str], DocumentBlobs]
    references: list[tuple[str, BlobReference]]
    unsent: set[str]  # keys with events that are not sent yet
    pending: frozenset[str] | None = None
    """Keys with events that a service has not handled yet; None if unknown."""


def _check(deployment: VerifiedDeployment, rules: Rules) -> VerificationResult:
    result = VerificationResult()
    rows = _read(deployment, result)
    _add_pending(deployment, rows, result)
    result.documents = len(rows.documents)
    faults = result.faults
    faults += _blob_faults(deployment, rules, rows, result)
    faults += _orphans(deployment, rules, rows)
    if rows.pending is None:
        result.complete = False
        return result
    faults += _stuck(rules, rows)
    faults += _lost(rows)
    faults += _stray(rules, rows)
    return result


def _read(deployment: VerifiedDeployment, result: VerificationResult) -> _Rows:
    started = datetime.now(UTC)
    references: list[tuple[str, BlobReference]] = []
    unsent: set[str] = set()
    for name, references_in in REFERENCES.items():
        with deployment.stores[name].read() as session:
            references += [(name, row) for row in references_in(session)]
    with deployment.stores["ingest"].read() as session:
        documents = {(row.tenant, row.id): row for row in ingest_documents(session)}
    for name, store in deployment.stores.items():
        result.unsent[name] = 0
        for event in outbox.events(store):
            if not event.sent:
                unsent.add(event.key)
                result.unsent[name] += 1
    return _Rows(started, documents, references, unsent)


def _named_in_outboxes(deployment: VerifiedDeployment, hashes: Collection[str]) -> set[str]:
    """The hashes that an event in an outbox names."""
    named: set[str] = set()
    for store in deployment.stores.values() if hashes else ():
        for event in outbox.events(store):
            named |= {
                name for found in _HASH.findall(event.value) if (name := found.decode()) in hashes
            }
    return named


def _add_pending(deployment: VerifiedDeployment, rows: _Rows, result: VerificationResult) -> None:
    counts: dict[str, int] = {}
    unhandled: list[frozenset[str] | None] = []
    for name, store in deployment.stores.items():
        service_inbox = Inbox(store)
        positions = service_inbox.positions()
        counts[name] = deployment.bus.lag(positions) + service_inbox.unfinished()
        unhandled += [deployment.bus.keys(positions), service_inbox.unfinished_keys()]
    known = [keys for keys in unhandled if keys is not None]
    keys = frozenset[str]().union(*known) if len(known) == len(unhandled) else None
    result.unhandled = counts
    result.in_progress = None if keys is None else len(rows.unsent | keys)
    _note(result.notes, "yet to be sent", result.unsent, "its relay sends them")
    _note(result.notes, "yet to be handled", result.unhandled, "the service handles them")
    rows.pending = keys


def _note(notes: list[str], what: str, counts: Mapping[str, int], who: str) -> None:
    if some := [f"{name} {count}" for name, count in counts.items() if count]:
        notes.append(f"events {what}: {', '.join(some)}; {who} while it runs")


# Blobs


def _blob_faults(
    deployment: VerifiedDeployment, rules: Rules, rows: _Rows, result: VerificationResult
) -> Iterator[Fault]:
    states = _states(deployment, rules, rows, result)
    wrong = [
        (service, one, what, ref, state)
        for service, one, what, ref in _needed(rows)
        if (state := states.get((one.tenant, ref)))
    ]
    # No repair brings back uploaded bytes, blobs with the same bytes, or blobs derived from them.
    lost = [(one, ref) for service, one, what, ref, _ in wrong if _repair_of(service, what) is None]
    gone = {(one.tenant, ref) for one, ref in lost}
    hopeless = {(one.tenant, one.id) for one, _ in lost}
    for service, one, what, ref, state in wrong:
        repair_kind = _repair_of(service, what)
        if (one.tenant, ref) in gone or (one.tenant, one.id) in hopeless:
            repair_kind = None
        kind: Kind = "missing_blob" if state == _MISSING else "damaged_blob"
        advice = "" if repair_kind else ": restore it from a backup, or upload the document again"
        detail = f"the {what} of document {one.id} {state}{advice}"
        yield Fault(kind, service, detail, one.tenant, one.id, ref.ref, repair_kind)


def _needed(rows: _Rows) -> Iterator[tuple[str, DocumentBlobs | BlobReference, str, Blob]]:
    """Every blob that a row requires: service, row, name and blob."""
    for document in rows.documents.values():
        yield from (("ingest", document, what, ref) for what, ref in document.required)
    for service, result in rows.references:
        yield from ((service, result, what, ref) for what, ref in result.required)


def _states(
    deployment: VerifiedDeployment, rules: Rules, rows: _Rows, result: VerificationResult
) -> dict[tuple[str, Blob], str]:
    """The missing or damaged required blobs, by tenant. Each blob is checked once."""
    blobs, seen = deployment.blobs(""), defaultdict[str, set[Blob]](set)
    states: dict[tuple[str, Blob], str] = {}
    for _, one, _, ref in _needed(rows):
        if ref in seen[one.tenant]:
            continue
        seen[one.tenant].add(ref)
        if state := _state(blobs, one.tenant, ref.ref, rules.hashes):
            states[one.tenant, ref] = state
        result.blobs += 1
        result.bytes += ref.size
    return states


def _repair_of(service: str, what: str) -> Repair | None:
    if service == "ingest":
        return "read_again" if what in ("text", "layout") else None
    return "announce" if service in ("extraction", "triage") else None


def _state(blobs: BlobStore, tenant: str, ref: BlobRef, hashes: bool) -> str | None:
    """The fault of a blob; None without one."""
    try:
        with blobs.open(tenant, ref) as stream:
            if not hashes:
                size = stream.seek(0, os.SEEK_END)
                return None if size == ref.size else f"has {size} bytes, not {ref.size}"
            digest = sha256_of(stream)
    except MissingBlob:
        return _MISSING
    return None if digest == ref.sha256 else "has another hash"


def _orphans(deployment: VerifiedDeployment, rules: Rules, rows: _Rows) -> Iterator[Fault]:
    """Old blobs that no row and no event names. A blob put after the rows were read may have its
    row by now, so only blobs that were old then count. A killed process may leave such blobs; they
    only take space.
    """
    named = defaultdict[tuple[str, str], set[str]](set)
    for tenant, owner, sha256 in _named(rows):
        named[tenant, owner].add(sha256)
    everybodys = ref_of(b"[]").sha256
    unnamed = [
        (tenant, ref, age)
        for tenant, ref, age in deployment.blobs("").listed()
        if age - (datetime.now(UTC) - rows.started).total_seconds() >= rules.orphan
        and ref.sha256 not in named[tenant, ref.owner]
        and ref.sha256 != everybodys
    ]
    in_events = _named_in_outboxes(deployment, {ref.sha256 for _, ref, _ in unnamed})
    for tenant, ref, age in unnamed:
        if ref.sha256 not in in_events:
            detail = f"no row names this blob, which is {timedelta(seconds=int(age))} old"
            yield Fault("orphan", ref.owner or "ingest", detail, tenant, "", ref, "remove")


def _named(rows: _Rows) -> Iterator[tuple[str, str, str]]:
    """Tenant, owner and hash of every blob that a row names, or that marks a deletion."""
    every: Iterator[DocumentBlobs | BlobReference] = chain(
        rows.documents.values(), (result for _, result in rows.references)
    )
    for one in every:
        yield from ((one.tenant, ref.owner, ref.sha256) for _, ref in one.required)
        yield from ((one.tenant, ref.owner, ref.sha256) for ref in one.noted)
    for tenant, mark in _marks(rows):
        yield tenant, mark.owner, mark.sha256


def _marks(rows: _Rows) -> Iterator[tuple[str, BlobRef]]:
    for document in rows.documents.values():
        if not document.living:
            for owner in OWNERS:
                yield document.tenant, deletion_mark(document.tenant, document.id, owner)
    for service, result in rows.references:
        if not result.alive:
            yield result.tenant, deletion_mark(result.tenant, result.id, service)


# Documents and results


def _stuck(rules: Rules, rows: _Rows) -> Iterator[Fault]:
    before = datetime.now(UTC) - timedelta(seconds=rules.stuck)
    for document in rows.documents.values():
        recent = document.changed > before or _in_progress(rows, document)
        if not document.living or document.ended or recent:
            continue
        detail = (
            f"document {document.id} has not ended, has not changed since"
            f" {minute(document.changed)}, and no event about it is in progress"
        )
        yield Fault("stuck", "ingest", detail, document.tenant, document.id, None, "announce")


def _lost(rows: _Rows) -> Iterator[Fault]:
    """Results that ingest knows, and that their service lacks."""
    done: dict[tuple[str, str, str], int] = {
        (service, one.tenant, one.id): one.attempt or 0
        for service, one in rows.references
        if one.done
    }
    deleted = {(service, one.tenant, one.id) for service, one in rows.references if not one.alive}
    for document in rows.documents.values():
        if not document.living or not document.ended or _in_progress(rows, document):
            continue
        for service in sorted(document.results):
            which = (service, document.tenant, document.id)
            if done.get(which, 0) >= document.attempt:
                continue
            detail = f"document {document.id} has ended with a result that {service} lacks"
            repair_kind: Repair | None = "announce"
            if which in deleted:
                repair_kind = None
                detail += ", where it is deleted: delete it, and upload it again"
            yield Fault(
                "lost_result", service, detail, document.tenant, document.id, None, repair_kind
            )


def _stray(rules: Rules, rows: _Rows) -> Iterator[Fault]:
    """Results of documents that are deleted, or that is unknown to ingest."""
    for service, result in rows.references:
        document = rows.documents.get((result.tenant, result.id))
        if not result.alive or (document and document.living) or _in_progress(rows, result):
            continue
        why = "is deleted" if document else "is unknown to ingest"
        detail = f"{service} has results of document {result.id}, which {why}"
        yield Fault("stray_result", service, detail, result.tenant, result.id, None, "forget")
    before = datetime.now(UTC) - timedelta(seconds=rules.stuck)
    for document in rows.documents.values():
        unpurged = not document.living and not document.purged and document.changed < before
        if unpurged and not _in_progress(rows, document):
            detail = f"document {document.id} is deleted, and its bytes are still there"
            yield Fault(
                "not_purged", "ingest", detail, document.tenant, document.id, None, "forget"
            )


def _in_progress(rows: _Rows, one: DocumentBlobs | BlobReference) -> bool:
    key = f"{one.tenant}/{one.id}"
    return key in rows.unsent or key in (rows.pending or ())


# Repairs


class _Orphans:
    """Removes blobs that no row names. A blob is put before its row is committed, in less time than
    the age of an orphan. So an old blob that still has no row never gets one.
    """

    def __init__(
        self, deployment: VerifiedDeployment, faults: Sequence[Fault], orphan: float
    ) -> None:
        self.deployment = deployment
        gone = [(one.tenant, one.blob) for one in faults if one.repair == "remove" and one.blob]
        self.named: set[tuple[str, str, str]] = set()
        """By tenant, owner and hash. The row of a damaged blob does not have its real size."""
        if gone:
            rows = _read(deployment, VerificationResult())
            self.before = rows.started - timedelta(seconds=orphan)
            keys = {(tenant, ref.owner, ref.sha256) for tenant, ref in gone}
            self.named = {key for key in _named(rows) if key in keys}
            named = _named_in_outboxes(deployment, {sha256 for *_, sha256 in keys})
            self.named |= {key for key in keys if key[2] in named}

    def remove(self, tenant: str, ref: BlobRef) -> bool:
        """Remove a blob. False if a row names it."""
        if (tenant, ref.owner, ref.sha256) in self.named:
            return False
        if ref.owner:
            return self.deployment.blobs(ref.owner).delete_older(tenant, ref, self.before)
        return self.deployment.repairer.remove(tenant, ref)


def _repaired(
    deployment: VerifiedDeployment,
    fault: Fault,
    done: dict[tuple[str, str, str], bool],
    orphans: _Orphans,
) -> bool:
    """Do one repair. The same repair of a document is done once, however many faults need it."""
    if fault.repair is None:
        return False
    if fault.repair == "remove":
        assert fault.blob is not None
        return orphans.remove(fault.tenant, fault.blob)
    if fault.kind == "damaged_blob" and fault.blob is not None:
        state = _state(deployment.blobs(""), fault.tenant, fault.blob, hashes=True)
        if state is None:
            return True  # it was written again meanwhile
        if state != _MISSING:  # a new write replaces it
            deployment.blobs(fault.blob.owner).delete(fault.tenant, fault.blob)
    action = (fault.repair, fault.tenant, fault.document)
    if fault.repair == "announce" and ("read_again", *action[1:]) in done:
        return True  # the document is read again from the start
    if action not in done:
        do = getattr(deployment.repairer, fault.repair)
        done[action] = bool(do(fault.tenant, fault.document))
    return done[action]
