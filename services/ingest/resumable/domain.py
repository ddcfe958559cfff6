"""Resumable uploads and the header values of tus."""

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
    """The request starts at another byte than the upload has reached."""

    code = "wrong_offset"


class UploadBusy(Conflict):
    """Another request is writing to this upload."""

    code = "upload_busy"


class ChecksumMismatch(InvalidRequest):
    """The received bytes differ from the sent ones."""

    code = "checksum_mismatch"
    http_status = 460
    """Defined by tus."""


class UploadGone(NotFound):
    """The upload was cancelled, refused or has expired."""

    code = "upload_gone"


class UnsupportedVersion(InvalidRequest):
    """The request uses another version of the protocol."""

    code = "unsupported_version"
    http_status = 412
    headers: Mapping[str, str] = {"Tus-Version": VERSION}


class ChunkTooLong(SuiteError):
    """More bytes came than the upload announced."""

    code = "chunk_too_long"
    http_status = 413


@dataclass(frozen=True)
class PartialUpload:
    """A resumable upload; a finished one has its `document`."""

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
    """The checksum of one request's bytes."""

    algorithm: Literal["sha1", "sha256"]
    digest: bytes

    def check(self, data: hashlib._Hash) -> None:
        if data.digest() != self.digest:
            raise ChecksumMismatch(
                f"The {self.algorithm} of the received bytes differs from "
                "Upload-Checksum. Send them again."
            )


def new_upload_id() -> str:
    """Return a random id."""
    return f"up_{uuid.uuid4().hex}"


@dataclass(frozen=True)
class Metadata:
    """The metadata of an upload."""

    name: str = ""
    kind: Kind | None = None
    adapters: tuple[str, ...] = ()


def read_metadata(header: str | None) -> Metadata:
    """Parse `Upload-Metadata`: comma-separated keys with Base64 values.

    Unknown keys are ignored. Raises InvalidRequest.
    """
    values: dict[str, str] = {}
    for pair in (header or "").split(","):
        key, _, value = pair.strip().partition(" ")
        if not key:
            continue
        if not _KEY.fullmatch(key) or key in values:
            raise InvalidRequest("Upload-Metadata has an invalid or repeated key.")
        values[key] = _text(key, value)
    name = values.get("filename", "")
    if len(name) > _LONGEST_NAME:
        raise InvalidRequest(f"A file name has at most {_LONGEST_NAME} characters.")
    kind = values.get("kind") or None
    if kind is not None and kind not in get_args(Kind):
        raise InvalidRequest(f"`kind` must be one of {', '.join(get_args(Kind))}, not {kind!r}.")
    adapters = named_adapters(one.strip() for one in values.get("adapter", "").split(","))
    return Metadata(name, kind, adapters)  # type: ignore[arg-type]


def read_checksum(header: str | None) -> Checksum | None:
    """Parse `Upload-Checksum`: an algorithm and a Base64 digest. Raises InvalidRequest."""
    if header is None:
        return None
    algorithm, _, text = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise InvalidRequest(f"Upload-Checksum must be one of {', '.join(ALGORITHMS)}.")
    digest = _decoded("Upload-Checksum", text)
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise InvalidRequest(f"Upload-Checksum is not a {algorithm} digest in Base64.")
    return Checksum(algorithm, digest)  # type: ignore[arg-type]


def _text(key: str, value: str) -> str:
    try:
        text = _decoded("Upload-Metadata", value).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"The value of {key} in Upload-Metadata is not UTF-8.") from None
    if "\0" in text:
        raise InvalidRequest(f"The value of {key} in Upload-Metadata contains a NUL.")
    return text


def _decoded(header: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{header} has a value that is not Base64.") from None
