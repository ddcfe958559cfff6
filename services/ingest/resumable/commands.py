"""What is done with uploads in several requests, from the first one to the sweep of the rest."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import FileIO

from services.ingest.commands import Intake, Upload
from services.ingest.domain import Document, now_utc
from services.ingest.idempotency.store import Note, unnoted
from services.ingest.resumable.domain import (
    Checksum,
    ChunkTooLong,
    Metadata,
    PartialUpload,
    UploadBusy,
    UploadGone,
    WrongOffset,
    new_upload_id,
)
from services.ingest.resumable.files import PartialFiles, available
from services.ingest.resumable.store import Uploads, expired
from shared.documents import safe_name
from shared.errors import (
    DocumentTooLarge,
    EmptyDocument,
    TooManyRequests,
    UnreadableDocument,
)
from shared.runtime.rounds import Rounds
from shared.storage import Store
from shared.web.auth import Actor

log = logging.getLogger(__name__)

MOST_OPEN = 100
"""Uploads that a tenant may have open, whatever their size."""


@dataclass(frozen=True)
class Standing:
    """How far an upload is: bytes that are there, and what it became."""

    upload: PartialUpload
    offset: int
    document: Document | None = None


@dataclass
class Chunk:
    """One request's bytes as they come, written at the end of what is there."""

    upload: PartialUpload
    file: FileIO
    begins: int
    checksum: Checksum | None
    size: int = 0
    _digest: hashlib._Hash | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.checksum:
            self._digest = hashlib.new(self.checksum.algorithm, usedforsecurity=False)

    def write(self, data: bytes) -> None:
        """Some more bytes. Raises ChunkTooLong for more than the upload is to have."""
        self.size += len(data)
        if self.begins + self.size > self.upload.length:
            raise ChunkTooLong(
                f"upload {self.upload.id} is to have {self.upload.length:,} bytes, and more came:"
                " what this request sent is thrown away"
            )
        if self._digest:
            self._digest.update(data)
        with available(self.upload):
            left = memoryview(data)
            while left:
                left = left[self.file.write(left) :]

    def verify(self) -> None:
        """At the end of the request: raise ChecksumMismatch unless the bytes are those sent."""
        if self.checksum and self._digest:
            self.checksum.check(self._digest)

    def keep(self) -> None:
        """Make what this request brought durable."""
        with available(self.upload):
            os.fsync(self.file.fileno())

    def discard(self) -> None:
        """Throw away what this request brought."""
        with available(self.upload):
            self.file.truncate(self.begins)

    @property
    def checked(self) -> bool:
        """Whether its bytes count only as a whole."""
        return self.checksum is not None


class Resumables:
    """Uploads in several requests, of all tenants.

    Args:
        intake: takes the finished ones in, as it does with every upload.
        hours: for how long one may rest between two requests.
        most_bytes: that all open uploads of a tenant may be going to have.
    """

    def __init__(
        self, store: Store, files: PartialFiles, intake: Intake, *, hours: float, most_bytes: int
    ) -> None:
        self.store = store
        self.files = files
        self.intake = intake
        self.rest = timedelta(hours=hours)
        self.most_bytes = most_bytes

    def begin(
        self,
        actor: Actor,
        length: int,
        said: Metadata,
        note: Note[PartialUpload] = unnoted,
    ) -> PartialUpload:
        """A new upload of so many bytes; `note` is told of it in the transaction that makes it.

        Raises EmptyDocument, DocumentTooLarge, UnknownAdapter; TooManyRequests if too much is open
        already, or as many documents are in work as may be: what has begun is never refused for it.
        """
        name = safe_name(said.name)
        self.intake.require(said.adapters)
        if not length:
            raise EmptyDocument("the document has no bytes", document=name)
        most = self.intake.limits.max_bytes
        if length > most:
            raise DocumentTooLarge(
                f"the document has {length:,} bytes: the limit is {most:,} "
                "(setting SMALLPRINT_INGEST_MAX_BYTES)",
                document=name,
                most=most,
            )
        self.intake.require_room(actor.tenant)
        now = now_utc()
        upload = PartialUpload(
            id=new_upload_id(),
            tenant=actor.tenant,
            actor=actor.name,
            name=name,
            kind=said.kind,
            adapters=said.adapters,
            length=length,
            created=now,
            expires=now + self.rest,
        )
        with self.store.write() as session:
            uploads = Uploads(session, actor.tenant)
            uploads.lock()
            number, size = uploads.open()
            if number >= MOST_OPEN or size + length > self.most_bytes:
                raise TooManyRequests(
                    f"{number} uploads of {size:,} bytes are not finished yet: finish or cancel"
                    f" some (at most {MOST_OPEN}, and {self.most_bytes:,} bytes together)",
                    retry_after=60,
                )
            uploads.add(upload)
            note(session, upload)
        self.files.create(upload)
        return upload

    def look(self, actor: Actor, upload_id: str) -> Standing:
        """How far an upload is. Raises UploadGone.

        One whose bytes are all there is finished by the look, if nothing finished it before: the
        process that was to do it may be no more.
        """
        upload = self._find(actor.tenant, upload_id)
        if upload.document:
            return Standing(upload, upload.length)
        try:
            offset = self.files.size(upload)
        except UploadGone:
            upload = self._find(actor.tenant, upload_id)  # finished, or over, a moment ago
            if not upload.document:
                raise
            return Standing(upload, upload.length)
        if offset < upload.length:
            return Standing(upload, offset)
        with self.files.held(upload) as file:
            return self._finish(actor, upload, file)

    @contextlib.contextmanager
    def chunk(
        self, actor: Actor, upload_id: str, offset: int, checksum: Checksum | None
    ) -> Iterator[Chunk]:
        """Where the bytes of one request go, for the time of the block; nobody else writes then.

        Raises UploadGone, UploadBusy, WrongOffset.
        """
        upload = self._find(actor.tenant, upload_id)
        if upload.document:
            raise WrongOffset(f"upload {upload_id} is finished: it is document {upload.document}")
        with self.files.held(upload) as file:
            there = file.tell()
            if there != offset:
                raise WrongOffset(
                    f"upload {upload_id} has {there:,} bytes, and this request begins at"
                    f" {offset:,}: go on from there"
                )
            yield Chunk(upload, file, offset, checksum)

    def received(self, actor: Actor, chunk: Chunk) -> Standing:
        """After the bytes of a request, still within its block: finish the upload if it is whole.

        Raises the UnreadableDocument that says why it becomes no document; it is over then.
        """
        upload = chunk.upload
        chunk.keep()
        offset = chunk.begins + chunk.size
        expires = now_utc() + self.rest
        with self.store.write() as session:
            Uploads(session, actor.tenant).postpone(upload.id, expires)
        if offset == upload.length:
            return self._finish(actor, upload, chunk.file)
        return Standing(upload, offset)

    def cancel(self, actor: Actor, upload_id: str) -> None:
        """Throw an upload away; a document that it became stays. Raises UploadGone, UploadBusy."""
        self._remove(self._find(actor.tenant, upload_id))

    def sweep(self) -> int:
        """Remove some uploads whose time is over. Returns how many."""
        with self.store.read() as session:
            old = expired(session, now_utc())
        removed = 0
        for upload in old:
            with contextlib.suppress(UploadBusy):
                self._remove(upload)
                removed += 1
        return removed

    def _finish(self, actor: Actor, upload: PartialUpload, file: FileIO) -> Standing:
        known = self._find(actor.tenant, upload.id)
        if known.document:
            return Standing(known, known.length)
        file.seek(0)
        try:
            accepted = self.intake.accept(
                actor,
                Upload(file, upload.length, upload.name, upload.kind, adapters=upload.adapters),
                promised=True,
            )
        except UnreadableDocument:
            self._forget(upload)
            raise
        with self.store.write() as session:
            Uploads(session, actor.tenant).finish(upload.id, accepted.document.id)
        self.files.unlink(upload)
        return Standing(upload, upload.length, accepted.document)

    def _find(self, tenant: str, upload_id: str) -> PartialUpload:
        with self.store.read() as session:
            upload = Uploads(session, tenant).get(upload_id)
        if upload is None:
            raise UploadGone(
                f"there is no upload {upload_id}: it was cancelled or refused, or rested too long"
            )
        return upload

    def _remove(self, upload: PartialUpload) -> None:
        self.files.remove(upload)
        with self.store.write() as session:
            Uploads(session, upload.tenant).remove(upload.id)

    def _forget(self, upload: PartialUpload) -> None:
        """The same while its file is held."""
        self.files.unlink(upload)
        with self.store.write() as session:
            Uploads(session, upload.tenant).remove(upload.id)


class Sweeper(Rounds):
    """The loop that removes what nobody finishes. Several processes may have one each."""

    name = "uploads"

    def __init__(self, resumables: Resumables, interval: float = 60.0) -> None:
        super().__init__(interval)
        self.resumables = resumables

    def work(self, stop: threading.Event) -> None:
        """Remove all that is over its time."""
        while self.resumables.sweep() and not stop.is_set():
            self.pulse.beat()
