"""What an upload in several requests is, and how the protocol's headers are read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from services.ingest.domain import named_adapters
from shared.errors import Conflict, InvalidRequest, NotFound, SuiteError
from shared.events import Kind

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,checksum,termination"
ALGORITHMS = ("sha1", "sha256")
OFFSET_STREAM = "application/offset+octet-stream"

_KEY = re.compile(r"[!-+\--~]{1,64}", re.ASCII)
_LONGEST_NAME = 1000


class WrongOffset(Conflict):
    """The upload is at another byte than the one that this request begins with."""

    code = "wrong_offset"


class UploadBusy(Conflict):
    """Another request is writing to this upload now."""

    code = "upload_busy"


class ChecksumMismatch(InvalidRequest):
    """The bytes that came are not the ones that were sent."""

    code = "checksum_mismatch"
    http_status = 460
    """As tus has it."""


class UploadGone(NotFound):
    """The upload is over: cancelled, refused at its end, or not finished in time."""

    code = "upload_gone"


class UnsupportedVersion(InvalidRequest):
    """The request is by another version of the protocol."""

    code = "unsupported_version"
    http_status = 412
    headers: Mapping[str, str] = {"Tus-Version": VERSION}


class ChunkTooLong(SuiteError):
    """More bytes came than the upload is to have."""

    code = "chunk_too_long"
    http_status = 413


@dataclass(frozen=True)
class PartialUpload:
    """An upload that is not finished, or was a while ago; then `document` is what it became."""

    id: str
    tenant: str
    actor: str
    name: str
    kind: Kind | None
    adapters: tuple[str, ...]
    length: int
    created: datetime
    expires: datetime
    document: str | None = None


@dataclass(frozen=True)
class Checksum:
    """What the bytes of one request must hash to."""

    algorithm: Literal["sha1", "sha256"]
    digest: bytes

    def check(self, data: hashlib._Hash) -> None:
        """Raise ChecksumMismatch unless that is what came."""
        if data.digest() != self.digest:
            raise ChecksumMismatch(
                f"the {self.algorithm} of this request's bytes is not the one in Upload-Checksum:"
                " they are thrown away, send them again"
            )


def new_upload_id() -> str:
    """An id that nobody can guess."""
    return f"up_{uuid.uuid4().hex}"


@dataclass(frozen=True)
class Metadata:
    """What is said of an upload at its beginning."""

    name: str = ""
    kind: Kind | None = None
    adapters: tuple[str, ...] = ()


def read_metadata(header: str | None) -> Metadata:
    """`Upload-Metadata`: keys with values in Base64, comma-separated.

    Raises InvalidRequest; keys that are not ours are passed over.
    """
    values: dict[str, str] = {}
    for pair in (header or "").split(","):
        key, _, value = pair.strip().partition(" ")
        if not key:
            continue
        if not _KEY.fullmatch(key) or key in values:
            raise InvalidRequest("Upload-Metadata has a key that can't be read, or one twice")
        values[key] = _text(key, value)
    name = values.get("filename", "")
    if len(name) > _LONGEST_NAME:
        raise InvalidRequest(f"a file name has at most {_LONGEST_NAME} characters")
    kind = values.get("kind") or None
    if kind is not None and kind not in get_args(Kind):
        raise InvalidRequest(f"kind is one of {', '.join(get_args(Kind))}, not {kind!r}")
    adapters = named_adapters(one.strip() for one in values.get("adapter", "").split(","))
    return Metadata(name, kind, adapters)  # type: ignore[arg-type]


def read_checksum(header: str | None) -> Checksum | None:
    """`Upload-Checksum`: an algorithm and the digest in Base64. Raises InvalidRequest."""
    if header is None:
        return None
    algorithm, _, text = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise InvalidRequest(f"Upload-Checksum has one of {', '.join(ALGORITHMS)}")
    digest = _decoded("Upload-Checksum", text)
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise InvalidRequest(f"Upload-Checksum is no {algorithm} in Base64")
    return Checksum(algorithm, digest)  # type: ignore[arg-type]


def _text(key: str, value: str) -> str:
    try:
        text = _decoded("Upload-Metadata", value).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"the value of {key} in Upload-Metadata is not UTF-8") from None
    if "\0" in text:
        raise InvalidRequest(f"the value of {key} in Upload-Metadata has a NUL in it")
    return text


def _decoded(header: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{header} has a value that is not Base64") from None
