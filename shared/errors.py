"""The errors of the suite, each with its code, its HTTP status, and whether to try again.

SuiteError
├── SettingsError            a setting is missing or wrong (at start)
├── InvalidRequest           the request is wrong
│   ├── NotSignedIn          no key, or one that is unknown or revoked
│   ├── NotAllowed           a known key that may not do this
│   ├── NotFound             nothing of that id in this tenant
│   ├── Conflict             the thing is not in a state that allows this
│   ├── PreconditionFailed   the thing has changed since the caller read it
│   └── TooManyRequests      more at a time than a key may request
├── UnreadableDocument       the bytes can't be opened as a document
│   ├── EmptyDocument
│   ├── UnsupportedType
│   ├── EncryptedDocument    a password is needed, or the one given is wrong
│   ├── DocumentTooLarge     more bytes, pages or parts than the limit
│   ├── NestedTooDeep        mails and archives nested beyond the limit
│   ├── NoTextLayer          nothing but images
│   └── NextToNoText         too few words for a document
└── Unavailable              something we depend on does not answer: try again
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import ClassVar


class SuiteError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    """The last part of a problem's `type`, also in logs."""
    http_status: ClassVar[int] = 500
    """The status of the API's answer."""
    retryable: ClassVar[bool] = False
    """Whether the worker tries again."""
    headers: Mapping[str, str] = {}
    """Further headers of the API's answer."""

    def __init__(self, message: str = "", *, document: str | None = None) -> None:
        """Without a message, use the first line of the class's docstring."""
        self.message = message or inspect.cleandoc(self.__doc__ or self.code).splitlines()[0]
        self.document = document
        super().__init__(self.message)


class SettingsError(SuiteError):
    """A setting is missing or wrong."""

    code = "settings"


class InvalidRequest(SuiteError):
    """The request can't be understood."""

    code = "invalid_request"
    http_status = 422


class NotSignedIn(InvalidRequest):
    """This key is unknown, expired or revoked."""

    code = "not_signed_in"
    http_status = 401


class NotAllowed(InvalidRequest):
    """This key may not do that."""

    code = "not_allowed"
    http_status = 403


class SignInAgain(NotAllowed):
    """A session is too old for a change that outlives it."""

    code = "sign_in_again"


class NotFound(InvalidRequest):
    """There is nothing of that name here."""

    code = "not_found"
    http_status = 404


class Conflict(InvalidRequest):
    """It is not in a state that allows this."""

    code = "conflict"
    http_status = 409


class PreconditionFailed(InvalidRequest):
    """It has changed since it was read."""

    code = "precondition_failed"
    http_status = 412

    def __init__(self, message: str = "", *, etag: str, document: str | None = None) -> None:
        """`etag` is the current one."""
        super().__init__(message, document=document)
        self.headers = {"etag": etag}


class TooManyRequests(InvalidRequest):
    """This key asks for more at a time than it may."""

    code = "too_many_requests"
    http_status = 429

    def __init__(
        self, message: str = "", *, retry_after: int = 1, headers: Mapping[str, str] | None = None
    ) -> None:
        """`retry_after` is in seconds; `headers` say what the limit is."""
        super().__init__(message)
        self.headers = {"retry-after": str(retry_after), **(headers or {})}


class UnreadableDocument(SuiteError):
    """The bytes are not a document we can open."""

    code = "unreadable_document"
    http_status = 422


class EmptyDocument(UnreadableDocument):
    """The document has no bytes, or no pages."""

    code = "empty_document"


class UnsupportedType(UnreadableDocument):
    """The document is of a type that we don't read."""

    code = "unsupported_type"
    http_status = 415


class EncryptedDocument(UnreadableDocument):
    """The document is encrypted: a password is needed, or the one given is wrong."""

    code = "encrypted_document"


class DocumentTooLarge(UnreadableDocument):
    """The document has more bytes or pages than the limit allows."""

    code = "document_too_large"
    http_status = 413

    def __init__(
        self, message: str = "", *, document: str | None = None, most: int | None = None
    ) -> None:
        """`most`: the limit of an upload, in bytes."""
        super().__init__(message, document=document)
        if most is not None:
            self.headers = {"upload-limit": f"max-size={most}"}


class NestedTooDeep(UnreadableDocument):
    """Mails and archives lie too deep in one another."""

    code = "nested_too_deep"


class NoTextLayer(UnreadableDocument):
    """The pages are images without a text layer."""

    code = "no_text_layer"


class NextToNoText(UnreadableDocument):
    """The document has next to no text."""

    code = "next_to_no_text"


class Unavailable(SuiteError):
    """Something that we depend on does not answer now."""

    code = "unavailable"
    http_status = 503
    retryable = True

    def __init__(
        self, message: str = "", *, document: str | None = None, wait: float | None = None
    ) -> None:
        """`wait`: seconds until the next try, if known."""
        super().__init__(message, document=document)
        self.wait = wait
