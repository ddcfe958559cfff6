"""Blobs in an S3 bucket: the only file that imports `boto3` and `botocore`.

`s3://bucket/prefix` names the place. Endpoint, region and credentials come from the usual variables
(`AWS_ENDPOINT_URL_S3`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`), or from the
machine's role.

Keys are the paths of the blob folder, so a copied folder is a valid bucket. The server checks the
SHA-256 of every part; a read is checked against the hash in the key. An object appears completely
or not at all, also when sent in parts. While a backup pins the blobs (`s3_pins`), a deleted blob is
copied to another key first.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.blobs.markers import ref_of, ref_of_stream
from shared.blobs.protocol import (
    CHUNK,
    PINNED_SUFFIX,
    MissingBlob,
    folder_of,
    key_of,
    ref_of_key,
    require_owner,
)
from shared.blobs.s3_pins import BlobPin, ObjectMissing, is_pinned, remove_dead_pin
from shared.errors import SettingsError, Unavailable
from shared.events import BlobRef

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = logging.getLogger(__name__)

PART = 8 * CHUNK
"""Bytes of a part, and of the largest blob that is sent in one request; this bounds the memory. S3
needs parts of at least 5 MiB, and at most 10,000 per object: 80 GB.
"""
FIRST = 64 << 10
"""Bytes fetched when a stream is opened, often only to see whether the blob exists."""
STEP = 4 * CHUNK
"""Bytes fetched at once afterwards."""
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
TRIES = 5
"""Tries of one request with growing pauses; then the blob store is `Unavailable`."""
MARK_SECONDS = 20.0
"""Time limit for a request on a mark of a backup or a copied blob, which is sent once. With the
time to connect it must stay well below FRESH_SECONDS * (1 - REMOVING) of `s3_pins`.
"""
CONNECTIONS = 16
"""Connections of one process; more threads wait for one."""
_MISSING_CODES = {"NoSuchKey": "missing", "404": "missing", "InvalidRange": "damaged"}
"""Error codes for a blob; a range is invalid if there are fewer bytes."""


class S3Blobs:
    """Blobs in a bucket, or below a prefix of it.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`. Raises SettingsError for another form.
        owner: the service whose blobs are written and deleted; empty for ingest.
    """

    def __init__(self, url: str, owner: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or "@" in parts.netloc:
            raise SettingsError(
                "SMALLPRINT_BLOBS_URL must be s3://bucket or s3://bucket/prefix. "
                "Endpoint and credentials belong in the AWS_… variables."
            )
        self.bucket = parts.netloc
        self.prefix = f"{prefix}/" if (prefix := parts.path.strip("/")) else ""
        self.owner = owner
        self._client = _client(READ_SECONDS, TRIES)

    @functools.cached_property
    def _marker(self) -> Any:
        """A client without retries and with a short time limit."""
        return _client(MARK_SECONDS, 1)

    def put(self, tenant: str, data: bytes) -> BlobRef:
        ref = ref_of(data, self.owner)
        key = self._key(tenant, ref)
        if len(data) <= PART:
            with self._available(tenant, ref):
                self._put(key, data)
        else:
            self._send(tenant, ref, io.BytesIO(data))
        return ref

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """See `BlobStore.put_stream`. Errors of the stream are raised unchanged.

        The key is the hash, so a stream is read twice; one that can't seek is copied to a temporary
        file.
        """
        folder_of(tenant)  # refuse an invalid tenant before reading
        with contextlib.ExitStack() as stack:
            if not stream.seekable():
                copy = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(stream, copy, CHUNK)
                copy.seek(0)
                stream = copy
            start = stream.tell()
            ref = ref_of_stream(stream, self.owner)
            stream.seek(start)
            if ref.size <= PART:
                return self.put(tenant, stream.read())
            self._send(tenant, ref, stream)
        return ref

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        with self.open(tenant, ref) as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise _missing(tenant, ref)
        return data

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """See `BlobStore.open`. The stream can seek, and holds one step in memory."""
        raw = _Stream(self, tenant, ref)
        return io.BufferedReader(raw, CHUNK)

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """See `BlobStore.delete`. Raises ValueError for a blob of another service."""
        key = self._key(tenant, ref)
        require_owner(tenant, ref, self.owner)
        with self._available(tenant, ref):
            if is_pinned(self, f"blob {ref.sha256} of tenant {tenant}"):
                self._copy_pinned(key)
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def delete_older(self, tenant: str, ref: BlobRef, before: datetime) -> bool:
        """See `BlobStore.delete_older`, by the server's clock.

        A blob put between the two requests is lost. Raises as `delete`.
        """
        with (
            contextlib.suppress(ObjectMissing),
            self.reached(f"blob {ref.sha256} of tenant {tenant}"),
        ):
            found = self._client.head_object(Bucket=self.bucket, Key=self._key(tenant, ref))
            if found["LastModified"] > before:
                return False
        self.delete(tenant, ref)
        return True

    def listed(self) -> Iterator[tuple[str, BlobRef, float]]:
        """See `BlobStore.listed`, by this machine's clock."""
        for item in self.objects():
            found = ref_of_key(item["Key"].removeprefix(self.prefix), item["Size"])
            if found is not None:
                age = datetime.now(UTC) - item["LastModified"]
                yield *found, max(0.0, age.total_seconds())

    def pin(self) -> contextlib.AbstractContextManager[None]:
        """See `BlobStore.pin`. Raises Conflict while another backup pins the blobs."""
        return BlobPin(self)

    def listed_pinned(self) -> Iterator[tuple[str, BlobRef]]:
        for item in self.objects():
            key = item["Key"].removeprefix(self.prefix).removesuffix(PINNED_SUFFIX)
            if found := ref_of_key(key, item["Size"]):
                yield found

    def open_pinned(self, tenant: str, ref: BlobRef) -> BinaryIO:
        return io.BufferedReader(_Stream(self, tenant, ref, ("", PINNED_SUFFIX)), CHUNK)

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield all objects below the prefix: `Key`, `Size` and `LastModified`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix
        )
        with self.reached("the list of blobs"):
            for page in pages:
                yield from page.get("Contents", ())

    def read(self, key: str, subject: str) -> tuple[bytes, float] | None:
        """Return a small object and its age in seconds by the server's clock.

        `subject` names it in error messages.
        """
        with contextlib.suppress(ObjectMissing), self.reached(subject):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            return answer["Body"].read(), (now - answer["LastModified"]).total_seconds()
        return None

    def write(self, key: str, data: bytes) -> None:
        """Overwrite a small object: sent once, with a limit of MARK_SECONDS."""
        with self.reached(key):
            self._put(key, data, self._marker)

    def remove(self, key: str) -> None:
        """Delete an object: sent once, with a limit of MARK_SECONDS."""
        with self.reached(key):
            self._marker.delete_object(Bucket=self.bucket, Key=key)

    def sweep(self, older: timedelta) -> int:
        """Abort multipart uploads of blobs that are `older`. Returns how many.

        Uploads of other programs stay. Errors are logged only.
        """
        before, removed = datetime.now(UTC) - older, 0
        remove_dead_pin(self)
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
            log.warning(
                "incomplete multipart uploads can't be removed now", extra={"reason": str(error)}
            )
        return removed

    def fetch(self, tenant: str, ref: BlobRef, start: int, size: int, suffix: str = "") -> bytes:
        """Return up to `size` bytes of a blob from `start`. Raises MissingBlob.

        `suffix` is that of a copied blob.
        """
        key = self._key(tenant, ref) + suffix
        wanted = {"Range": f"bytes={start}-{start + size - 1}"} if ref.size else {}
        tries = 0
        while True:
            tries += 1
            with self._available(tenant, ref):
                answer = self._client.get_object(Bucket=self.bucket, Key=key, **wanted)
                total = int(answer.get("ContentRange", "/0").rpartition("/")[2])
                if total != ref.size:
                    answer["Body"].close()
                    raise _missing(tenant, ref)
                try:
                    data: bytes = answer["Body"].read()
                except BotoCoreError:  # boto3 does not retry a broken connection
                    if tries == TRIES:
                        raise
                    continue
                return data

    def _copy_pinned(self, key: str) -> None:
        """Copy a deleted blob to where the backup finds it.

        If the backup has ended meanwhile, the copy is removed again.
        """
        try:
            with self.reached("a pinned blob"):
                self._client.copy_object(
                    Bucket=self.bucket,
                    Key=key + PINNED_SUFFIX,
                    CopySource={"Bucket": self.bucket, "Key": key},
                )
        except ObjectMissing:
            return
        if not is_pinned(self):
            self.remove(key + PINNED_SUFFIX)

    def _key(self, tenant: str, ref: BlobRef) -> str:
        return self.prefix + key_of(tenant, ref)

    def _put(self, key: str, data: bytes, client: Any = None) -> None:
        (client or self._client).put_object(
            Bucket=self.bucket,
            Key=key,
            Body=data,
            ContentLength=len(data),
            ChecksumSHA256=_checksum(hashlib.sha256(data)),
        )

    def _send(self, tenant: str, ref: BlobRef, stream: BinaryIO) -> None:
        """Send a blob in parts; an incomplete one is aborted."""
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
            with contextlib.suppress(ClientError, BotoCoreError):  # otherwise the sweep removes it
                self._abort(key, upload)
            raise

    def _send_parts(
        self, tenant: str, ref: BlobRef, upload: str, stream: BinaryIO
    ) -> list[dict[str, Any]]:
        """Send all parts in order; returns the list that completes the upload."""
        parts: list[dict[str, Any]] = []
        digest = hashlib.sha256()
        while part := stream.read(PART):
            digest.update(part)
            parts.append(self._send_part(tenant, ref, upload, len(parts) + 1, part))
        if digest.hexdigest() != ref.sha256:
            raise Unavailable(
                f"A new blob of tenant {tenant} changed while it was read. Send it again."
            )
        return parts

    def _send_part(
        self, tenant: str, ref: BlobRef, upload: str, number: int, part: bytes
    ) -> dict[str, Any]:
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
        """Like `reached`, for one blob. Raises MissingBlob if it is missing."""
        try:
            with self.reached(f"blob {ref.sha256} of tenant {tenant}"):
                yield
        except ObjectMissing as error:
            raise _missing(tenant, ref, str(error)) from None

    @contextlib.contextmanager
    def reached(self, subject: str) -> Iterator[None]:
        """Raise Unavailable if the server fails or refuses, ObjectMissing for a missing object."""
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _MISSING_CODES:
                raise ObjectMissing(_MISSING_CODES[code]) from error
            advice = {
                "NoSuchBucket": "create the bucket",
                "AccessDenied": (
                    "allow the credentials s3:ListBucket, s3:GetObject, "
                    "s3:PutObject, s3:DeleteObject, "
                    "s3:AbortMultipartUpload and "
                    "s3:ListBucketMultipartUploads"
                ),
                "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY",
                "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID",
            }.get(code, "check the server")
            raise Unavailable(
                f"The blob store s3://{self.bucket} refuses {subject} ({code}): {advice}."
            ) from error
        except BotoCoreError as error:
            raise Unavailable(
                f"Can't reach the blob store s3://{self.bucket} for {subject}: {error}"
            ) from error


class _Stream(io.RawIOBase):
    """A blob that is fetched step by step, with retries of each."""

    def __init__(
        self, blobs: S3Blobs, tenant: str, ref: BlobRef, suffixes: Sequence[str] = ()
    ) -> None:
        self._blobs, self._tenant, self._ref, self._suffixes = blobs, tenant, ref, suffixes
        self._at = 0
        self._start, self._step = 0, self._fetch(0, FIRST)

    def _fetch(self, start: int, size: int) -> bytes:
        """Fetch from the first existing key; the blob may be copied away between two steps."""
        for suffix in self._suffixes:
            with contextlib.suppress(MissingBlob):
                return self._blobs.fetch(self._tenant, self._ref, start, size, suffix)
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
            self._step = b""  # free it first: two would be in memory
            self._start = self._at
            self._step = self._fetch(self._at, STEP)
            if not self._step:
                raise _missing(self._tenant, self._ref)
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
        # We send hashes ourselves; hosts of other servers don't contain the bucket.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if own else "auto"},
    )
    try:
        region = os.environ.get("AWS_REGION") or None  # otherwise boto3 finds it
        return boto3.session.Session(region_name=region).client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"The S3 client can't be created: {error}") from error


def _checksum(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()


def _missing(tenant: str, ref: BlobRef, how: str = "damaged") -> MissingBlob:
    return MissingBlob(f"blob {ref.sha256} of tenant {tenant} is {how}: restore it from a backup")
