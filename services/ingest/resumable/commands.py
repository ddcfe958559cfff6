"""Commands on resumable uploads, and the removal of expired ones."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import FileIO

from services.ingest.commands import DocumentCommands, Upload
from services.ingest.domain import Document, now_utc
from services.ingest.idempotency.store import OnCreated, ignore_created
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
from shared.audit import record
from shared.documents import safe_name
from shared.errors import (
    Conflict,
    DocumentTooLarge,
    EmptyDocument,
    TooManyRequests,
    UnreadableDocument,
)
from shared.storage import Store
from shared.web.auth import Actor

MAX_OPEN = 100
"""Open uploads of a tenant, whatever their size."""


@dataclass(frozen=True)
class UploadProgress:
    """The bytes of an upload received so far, and its document."""

    upload: PartialUpload
    offset: int
    document: Document | None = None


@dataclass
class Chunk:
    """The bytes of one request, appended to the upload."""

    upload: PartialUpload
    file: FileIO
    offset: int
    checksum: Checksum | None
    size: int = 0
    _digest: hashlib._Hash | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.checksum:
            self._digest = hashlib.new(self.checksum.algorithm, usedforsecurity=False)

    def write(self, data: bytes) -> None:
        """Append bytes. Raises ChunkTooLong beyond the length of the upload."""
        self.size += len(data)
        if self.offset + self.size > self.upload.length:
            raise ChunkTooLong(
                f"Upload {self.upload.id} was declared with {self.upload.length:,} "
                "bytes, but more arrived. The bytes of this request were discarded."
            )
        if self._digest:
            self._digest.update(data)
        with available(self.upload):
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[self.file.write(remaining) :]

    def verify(self) -> None:
        """Raise ChecksumMismatch unless the bytes have the announced checksum."""
        if self.checksum and self._digest:
            self.checksum.check(self._digest)

    def sync(self) -> None:
        with available(self.upload):
            os.fsync(self.file.fileno())

    def discard(self) -> None:
        """Remove the bytes of this request."""
        with available(self.upload):
            self.file.truncate(self.offset)

    @property
    def has_checksum(self) -> bool:
        return self.checksum is not None


class Resumables:
    """Resumable uploads of all tenants.

    Args:
        commands: accepts finished uploads.
        hours: between two requests before an upload expires.
        max_bytes: announced bytes of all open uploads of a tenant.
    """

    def __init__(
        self,
        store: Store,
        files: PartialFiles,
        commands: DocumentCommands,
        *,
        hours: float,
        max_bytes: int,
    ) -> None:
        self.store = store
        self.files = files
        self.commands = commands
        self.lifetime = timedelta(hours=hours)
        self.max_bytes = max_bytes

    def begin(
        self,
        actor: Actor,
        length: int,
        metadata: Metadata,
        note: OnCreated[PartialUpload] = ignore_created,
    ) -> PartialUpload:
        """Begin an upload of `length` bytes; `note` is called in its transaction.

        Raises EmptyDocument, DocumentTooLarge, UnknownAdapter; TooManyRequests if too many uploads
        are open or documents in work. An upload that has begun is not refused for that later.
        """
        name = safe_name(metadata.name)
        self.commands.require(metadata.adapters)
        if not length:
            raise EmptyDocument("The document is empty.", document=name)
        most = self.commands.limits.max_bytes
        if length > most:
            raise DocumentTooLarge(
                f"The document has {length:,} bytes; the limit is {most:,} (setting "
                "SMALLPRINT_INGEST_MAX_BYTES).",
                document=name,
                most=most,
            )
        self.commands.require_capacity(actor.tenant)
        now = now_utc()
        upload = PartialUpload(
            id=new_upload_id(),
            tenant=actor.tenant,
            actor=actor.name,
            name=name,
            kind=metadata.kind,
            adapters=metadata.adapters,
            length=length,
            created=now,
            expires=now + self.lifetime,
        )
        with self.store.write() as session:
            uploads = Uploads(session, actor.tenant)
            uploads.lock()
            count, size = uploads.open()
            if count >= MAX_OPEN or size + length > self.max_bytes:
                raise TooManyRequests(
                    f"{count} uploads with {size:,} bytes are unfinished; at most "
                    f"{MAX_OPEN} with {self.max_bytes:,} bytes are allowed. Finish "
                    "or cancel some.",
                    retry_after=60,
                )
            uploads.add(upload)
            record(session, actor, "document.upload", upload.id, what="begin")
            note(session, upload)
        self.files.create(upload)
        return upload

    def status(self, actor: Actor, upload_id: str) -> UploadProgress:
        """Return the progress of an upload, and finish it if all bytes are there.

        The process that should have finished it may have died. Raises UploadGone.
        """
        upload = self._get(actor.tenant, upload_id)
        if upload.document:
            return UploadProgress(upload, upload.length)
        try:
            offset = self.files.size(upload)
        except UploadGone:
            upload = self._get(actor.tenant, upload_id)  # just finished or removed
            if not upload.document:
                raise
            return UploadProgress(upload, upload.length)
        if offset < upload.length:
            return UploadProgress(upload, offset)
        with self.files.open_locked(upload) as file:
            return self._finish(actor, upload, file)

    @contextlib.contextmanager
    def chunk(
        self, actor: Actor, upload_id: str, offset: int, checksum: Checksum | None
    ) -> Iterator[Chunk]:
        """Open an upload for the bytes of one request, exclusively.

        Raises UploadGone, UploadBusy, WrongOffset.
        """
        upload = self._get(actor.tenant, upload_id)
        if upload.document:
            raise WrongOffset(f"Upload {upload_id} is finished. Its document is {upload.document}.")
        with self.files.open_locked(upload) as file:
            size = file.tell()
            if size != offset:
                raise WrongOffset(
                    f"Upload {upload_id} has {size:,} bytes, and this request starts "
                    f"at {offset:,}. Continue from its offset."
                )
            yield Chunk(upload, file, offset, checksum)

    def finish_chunk(self, actor: Actor, chunk: Chunk) -> UploadProgress:
        """Make the bytes of a request durable, and finish the upload if it is complete.

        Called within the block of `chunk`. Raises the UnreadableDocument of a refused document; the
        upload ends then.
        """
        upload = chunk.upload
        chunk.sync()
        offset = chunk.offset + chunk.size
        expires = now_utc() + self.lifetime
        with self.store.write() as session:
            Uploads(session, actor.tenant).postpone(upload.id, expires)
        if offset == upload.length:
            return self._finish(actor, upload, chunk.file)
        return UploadProgress(upload, offset)

    def cancel(self, actor: Actor, upload_id: str) -> None:
        """Cancel an upload; its document stays. Raises UploadGone, UploadBusy."""
        self._remove(self._get(actor.tenant, upload_id))

    def sweep(self) -> int:
        with self.store.read() as session:
            old = expired(session, now_utc())
        removed = 0
        for upload in old:
            with contextlib.suppress(UploadBusy):
                self._remove(upload)
                removed += 1
        return removed

    def _finish(self, actor: Actor, upload: PartialUpload, file: FileIO) -> UploadProgress:
        stored = self._get(actor.tenant, upload.id)
        if stored.document:
            return UploadProgress(stored, stored.length)
        file.seek(0)
        try:
            accepted = self.commands.accept(
                actor,
                Upload(file, upload.length, upload.name, upload.kind, adapters=upload.adapters),
                admitted=True,
            )
        except (UnreadableDocument, Conflict):
            self.files.unlink(upload)  # not `_remove`: the file is open here
            with self.store.write() as session:
                Uploads(session, upload.tenant).remove(upload.id)
            raise
        with self.store.write() as session:
            Uploads(session, actor.tenant).finish(upload.id, accepted.document.id)
        self.files.unlink(upload)
        return UploadProgress(upload, upload.length, accepted.document)

    def _get(self, tenant: str, upload_id: str) -> PartialUpload:
        with self.store.read() as session:
            upload = Uploads(session, tenant).get(upload_id)
        if upload is None:
            raise UploadGone(
                f"There is no upload {upload_id}. It was cancelled, refused or has expired."
            )
        return upload

    def _remove(self, upload: PartialUpload) -> None:
        self.files.remove(upload)
        with self.store.write() as session:
            Uploads(session, upload.tenant).remove(upload.id)
