"""Blobs in a bucket that speaks S3: the only file that imports `boto3` and `botocore`.

`s3://bucket/prefix` names the place. Endpoint, region and credentials are those that every client
of S3 understands: the environment variables `AWS_ENDPOINT_URL_S3`, `AWS_REGION`,
`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, or what the machine itself is given (a role).

Keys are the paths of the blob folder (`tenant/owner/first two of the hash/hash`), so a folder that
is copied to a bucket is its blob store. Every part goes out with its SHA-256, which the server
compares; what comes back is compared with the hash that is its name. An object appears whole or
not at all, also when it is sent in parts. While a backup holds them (`s3_hold`), what is deleted
goes to another name first.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import SettingsError, Unavailable
from shared.events import BlobRef
from shared.storage.blobs import (
    CHUNK,
    HELD,
    MissingBlob,
    folder_of,
    key_of,
    must_own,
    ref_of_key,
)
from shared.storage.s3_hold import Hold, Lacking, is_held, let_go

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = logging.getLogger(__name__)

PART = 8 * CHUNK
"""Bytes of a part, and what a blob may have to be sent in one: it bounds the memory. S3 takes parts
from 5 MiB, and 10,000 of one object: 80 GB."""
FIRST = 64 << 10
"""Bytes that opening a stream fetches: who only asks whether a blob is there pays for no more."""
STEP = 4 * CHUNK
"""Bytes that a stream fetches at once from then on."""
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
TRIES = 5
"""Of one request, with a pause that grows; then the blob store is `Unavailable`."""
MARK_SECONDS = 20.0
"""For which an answer is waited for where a mark of a backup, or what was put aside for one, is
written or removed. The request is sent once: with the connection, and with the second that a body
waits to be asked for, well below the FRESH_SECONDS * (1 - REMOVING) that `s3_hold` leaves it."""
CONNECTIONS = 16
"""Connections that one process keeps to the server; more threads wait for one."""
_LACKING = {"NoSuchKey": "missing", "404": "missing", "InvalidRange": "damaged"}
"""What the server's answers say of a blob; a range is wrong where there are fewer bytes."""


class S3Blobs:
    """A bucket, or what of it begins with a prefix.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`. Raises SettingsError for another.
        owner: the service whose blobs are written and deleted here; empty for ingest.
    """

    def __init__(self, url: str, owner: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or "@" in parts.netloc:
            raise SettingsError(
                "SMALLPRINT_BLOBS_URL names no bucket: s3://bucket or s3://bucket/prefix, with"
                " endpoint and credentials in the AWS_… variables"
            )
        self.bucket = parts.netloc
        self.prefix = f"{prefix}/" if (prefix := parts.path.strip("/")) else ""
        self.owner = owner
        self._client = _client(READ_SECONDS, TRIES)

    @functools.cached_property
    def _marker(self) -> Any:
        """The client of what is sent once, and soon given up."""
        return _client(MARK_SECONDS, 1)

    def put(self, tenant: str, data: bytes) -> BlobRef:
        """See `BlobStore.put`."""
        ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data), owner=self.owner)
        key = self._key(tenant, ref)
        if len(data) <= PART:
            with self._available(tenant, ref):
                self._put(key, data)
        else:
            self._send(tenant, ref, io.BytesIO(data))
        return ref

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """See `BlobStore.put_stream`. An error of the stream itself is raised as it is.

        The name of a blob is its hash, so a stream is read twice; one that can't be is kept in a
        temporary file meanwhile.
        """
        folder_of(tenant)  # a wrong one is refused before we read
        with contextlib.ExitStack() as stack:
            start = 0
            if stream.seekable():
                start = stream.tell()
                ref = self._ref_of(stream)
            else:
                kept = stack.enter_context(tempfile.TemporaryFile())
                ref = self._ref_of(stream, kept)
                stream = kept
            stream.seek(start)
            if ref.size <= PART:
                return self.put(tenant, stream.read())
            self._send(tenant, ref, stream)
        return ref

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        """See `BlobStore.get`."""
        with self.open(tenant, ref) as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise _lacking(tenant, ref)
        return data

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """See `BlobStore.open`. The stream can be sought in, and holds one step in memory."""
        raw = _Stream(self, tenant, ref)
        return io.BufferedReader(raw, CHUNK)

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """See `BlobStore.delete`. Raises ValueError for what belongs to another service."""
        key = self._key(tenant, ref)
        must_own(tenant, ref, self.owner)
        with self._available(tenant, ref):
            if is_held(self, f"blob {ref.sha256} of tenant {tenant}"):
                self._put_aside(key)
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def delete_older(self, tenant: str, ref: BlobRef, before: datetime) -> bool:
        """See `BlobStore.delete_older`, by the server's clock: `put` sends also what is there. What
        is put between the look and the removal, two requests, goes as well. Raises as `delete`.
        """
        with contextlib.suppress(Lacking), self.reached(f"blob {ref.sha256} of tenant {tenant}"):
            found = self._client.head_object(Bucket=self.bucket, Key=self._key(tenant, ref))
            if found["LastModified"] > before:
                return False
        self.delete(tenant, ref)
        return True

    def listed(self) -> Iterator[tuple[str, BlobRef]]:
        """See `BlobStore.listed`."""
        return ((tenant, ref) for tenant, ref, _ in self.aged())

    def aged(self) -> Iterator[tuple[str, BlobRef, float]]:
        """The same, with how many seconds ago each was written, by this machine's clock."""
        for item in self.objects():
            found = ref_of_key(item["Key"].removeprefix(self.prefix), item["Size"])
            if found is not None:
                age = datetime.now(UTC) - item["LastModified"]
                yield *found, max(0.0, age.total_seconds())

    def holding(self) -> contextlib.AbstractContextManager[None]:
        """See `BlobStore.holding`. Raises Conflict while another backup holds them."""
        return Hold(self)

    def held(self) -> Iterator[tuple[str, BlobRef]]:
        """See `BlobStore.held`."""
        for item in self.objects():
            key = item["Key"].removeprefix(self.prefix).removesuffix(HELD)
            if found := ref_of_key(key, item["Size"]):
                yield found

    def open_held(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """See `BlobStore.open_held`."""
        return io.BufferedReader(_Stream(self, tenant, ref, ("", HELD)), CHUNK)

    def objects(self) -> Iterator[dict[str, Any]]:
        """Everything below the prefix: `Key`, `Size` and `LastModified`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix
        )
        with self.reached("the list of blobs"):
            for page in pages:
                yield from page.get("Contents", ())

    def read(self, key: str, what: str) -> tuple[bytes, float] | None:
        """A small object, and how many seconds ago it was written by the server's own clock.

        `what` is what can't be reached without it, for the message.
        """
        with contextlib.suppress(Lacking), self.reached(what):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            return answer["Body"].read(), (now - answer["LastModified"]).total_seconds()
        return None

    def write(self, key: str, data: bytes) -> None:
        """Write a small object over what is there: sent once, and given up after MARK_SECONDS."""
        with self.reached(key):
            self._put(key, data, self._marker)

    def remove(self, key: str) -> None:
        """Remove an object, if it is there: sent once, and given up after MARK_SECONDS."""
        with self.reached(key):
            self._marker.delete_object(Bucket=self.bucket, Key=key)

    def sweep(self, older: timedelta) -> int:
        """Give up blobs that were begun in parts before so long and never ended. Returns how many.
        What others send into the same bucket stays.

        A server that does not answer, or that refuses to list them, is told of in the log alone.
        """
        before, removed = datetime.now(UTC) - older, 0
        let_go(self)
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix=self.prefix
        )
        try:
            for page in pages:
                for item in page.get("Uploads", ()):
                    name = item["Key"].removeprefix(self.prefix)
                    if item["Initiated"] < before and ref_of_key(name, 0) is not None:
                        self._abort(item["Key"], item["UploadId"])
                        removed += 1
        except (ClientError, BotoCoreError) as error:
            log.warning("parts of blobs that were never ended stay", extra={"reason": str(error)})
        return removed

    def fetch(self, tenant: str, ref: BlobRef, start: int, size: int, aside: str = "") -> bytes:
        """The bytes of a blob from `start` on, `size` of them at the most. Raises MissingBlob.

        `aside` is what the name of a blob that was put aside has at its end.
        """
        key = self._key(tenant, ref) + aside
        wanted = {"Range": f"bytes={start}-{start + size - 1}"} if ref.size else {}
        tries = 0
        while True:
            tries += 1
            with self._available(tenant, ref):
                answer = self._client.get_object(Bucket=self.bucket, Key=key, **wanted)
                total = int(answer.get("ContentRange", "/0").rpartition("/")[2])
                if total != ref.size:
                    answer["Body"].close()
                    raise _lacking(tenant, ref)
                try:
                    data: bytes = answer["Body"].read()
                except BotoCoreError:  # the connection broke off, which the client leaves to us
                    if tries == TRIES:
                        raise
                    continue
                return data

    def _put_aside(self, key: str) -> None:
        """Copy a blob that is deleted to where the backup that holds all of them finds it. If that
        has ended meanwhile, nobody would take the copy away.
        """
        try:
            with self.reached("a blob that is held"):
                self._client.copy_object(
                    Bucket=self.bucket,
                    Key=key + HELD,
                    CopySource={"Bucket": self.bucket, "Key": key},
                )
        except Lacking:
            return
        if not is_held(self):
            self.remove(key + HELD)

    def _key(self, tenant: str, ref: BlobRef) -> str:
        return self.prefix + key_of(tenant, ref)

    def _ref_of(self, stream: BinaryIO, copy: Any = None) -> BlobRef:
        digest, size = hashlib.sha256(), 0
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if copy is not None:
                copy.write(chunk)
        return BlobRef(sha256=digest.hexdigest(), size=size, owner=self.owner)

    def _put(self, key: str, data: bytes, client: Any = None) -> None:
        (client or self._client).put_object(
            Bucket=self.bucket,
            Key=key,
            Body=data,
            ContentLength=len(data),
            ChecksumSHA256=_checksum(hashlib.sha256(data)),
        )

    def _send(self, tenant: str, ref: BlobRef, stream: BinaryIO) -> None:
        """Send a blob in parts. What is not completed is given up, and never was a blob."""
        key = self._key(tenant, ref)
        with self._available(tenant, ref):
            upload = self._client.create_multipart_upload(
                Bucket=self.bucket, Key=key, ChecksumAlgorithm="SHA256"
            )["UploadId"]
        try:
            parts = self._send_parts(tenant, ref, upload, stream)
            with self._available(tenant, ref):
                self._client.complete_multipart_upload(
                    Bucket=self.bucket,
                    Key=key,
                    UploadId=upload,
                    MultipartUpload={"Parts": parts},
                )
        except BaseException:
            with contextlib.suppress(ClientError, BotoCoreError):  # else the sweep takes it away
                self._abort(key, upload)
            raise

    def _send_parts(
        self, tenant: str, ref: BlobRef, upload: str, stream: BinaryIO
    ) -> list[dict[str, Any]]:
        """Send all parts, one after the other; what completing the upload says of them."""
        parts: list[dict[str, Any]] = []
        digest = hashlib.sha256()
        while part := stream.read(PART):
            digest.update(part)
            parts.append(self._send_part(tenant, ref, upload, len(parts) + 1, part))
        if digest.hexdigest() != ref.sha256:
            raise Unavailable(
                f"a new blob of tenant {tenant} changed while it was read: send it again"
            )
        return parts

    def _send_part(
        self, tenant: str, ref: BlobRef, upload: str, number: int, part: bytes
    ) -> dict[str, Any]:
        """Send one part; what completing the upload says of it."""
        checksum = _checksum(hashlib.sha256(part))
        with self._available(tenant, ref):
            answer = self._client.upload_part(
                Bucket=self.bucket,
                Key=self._key(tenant, ref),
                UploadId=upload,
                PartNumber=number,
                Body=part,
                ContentLength=len(part),
                ChecksumSHA256=checksum,
            )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    def _abort(self, key: str, upload: str) -> None:
        self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)

    @contextlib.contextmanager
    def _available(self, tenant: str, ref: BlobRef) -> Iterator[None]:
        """As `reached`, for one blob: one that is not there is MissingBlob."""
        try:
            with self.reached(f"blob {ref.sha256} of tenant {tenant}"):
                yield
        except Lacking as error:
            raise _lacking(tenant, ref, str(error)) from None

    @contextlib.contextmanager
    def reached(self, what: str) -> Iterator[None]:
        """A server that is away or refuses is `Unavailable`, which the worker tries again; what is
        not there is Lacking.
        """
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _LACKING:
                raise Lacking(_LACKING[code]) from error
            advice = {
                "NoSuchBucket": "make the bucket",
                "AccessDenied": "the credentials must allow s3:ListBucket, s3:GetObject,"
                " s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and"
                " s3:ListBucketMultipartUploads there",
                "SignatureDoesNotMatch": "see to AWS_SECRET_ACCESS_KEY",
                "InvalidAccessKeyId": "see to AWS_ACCESS_KEY_ID",
            }.get(code, "see to the server")
            raise Unavailable(
                f"the blob store s3://{self.bucket} refuses {what} ({code}): {advice}; it is"
                " tried again"
            ) from error
        except BotoCoreError as error:
            raise Unavailable(
                f"the blob store s3://{self.bucket} can't reach {what}: {error}; it is tried again"
            ) from error


class _Stream(io.RawIOBase):
    """A blob that is fetched step by step, each step with the client's own tries."""

    def __init__(
        self, blobs: S3Blobs, tenant: str, ref: BlobRef, asides: Sequence[str] = ()
    ) -> None:
        self._blobs, self._tenant, self._ref, self._asides = blobs, tenant, ref, asides
        self._at = 0
        self._start, self._step = 0, self._fetch(0, FIRST)

    def _fetch(self, start: int, size: int) -> bytes:
        """From the first of its names that it has now; it may be put aside between two steps."""
        for aside in self._asides:
            with contextlib.suppress(MissingBlob):
                return self._blobs.fetch(self._tenant, self._ref, start, size, aside)
        return self._blobs.fetch(self._tenant, self._ref, start, size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ref.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if self._at >= self._ref.size or not len(view):
            return 0
        if not self._start <= self._at < self._start + len(self._step):
            self._step = b""  # let go of it first: two would be in memory
            self._start = self._at
            self._step = self._fetch(self._at, STEP)
            if not self._step:
                raise _lacking(self._tenant, self._ref)
        piece = self._step[self._at - self._start :][: len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _client(read_seconds: float, tries: int) -> Any:
    own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=CONNECTIONS,
        # Hashes are ours, in each request; and the names of a server's own have no bucket in them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if own else "auto"},
    )
    try:
        region = os.environ.get("AWS_REGION") or None  # else as the client finds it
        return boto3.session.Session(region_name=region).client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"the client of S3 can't be made: {error}") from error


def _checksum(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()


def _lacking(tenant: str, ref: BlobRef, how: str = "damaged") -> MissingBlob:
    return MissingBlob(f"blob {ref.sha256} of tenant {tenant} is {how}: restore it from a backup")
