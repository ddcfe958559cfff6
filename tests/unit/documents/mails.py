"""Mails for the tests, written out by hand where a library would put right what must be wrong."""

from __future__ import annotations

import base64
from collections.abc import Sequence

HEAD = """\
Return-Path: <ann@example.com>
Message-ID: <1@example.com>
Date: Mon, 3 Mar 2025 10:00:00 +0100
From: Ann <ann@example.com>
To: Bob <bob@example.com>
Subject: The lease
MIME-Version: 1.0
"""


def mail(body: bytes | str, *headers: str, head: str = HEAD) -> bytes:
    """A mail with these headers below the usual ones."""
    lines = "".join(f"{header}\n" for header in headers)
    content = body.encode() if isinstance(body, str) else body
    return (head + lines).encode("utf-8", "surrogateescape") + b"\n" + content


def part(body: bytes | str, *headers: str) -> bytes:
    """One part of a mail of several."""
    return mail(body, *headers, head="")


def multipart(parts: Sequence[bytes], kind: str = "mixed", boundary: str = "=_b") -> bytes:
    """Several parts as one, with the header that says so."""
    inner = b"".join(b"--%s\n%s\n" % (boundary.encode(), one) for one in parts)
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n'.encode()
    return head + inner + b"--%s--\n" % boundary.encode()


def whole(parts: Sequence[bytes], kind: str = "mixed", boundary: str = "=_b") -> bytes:
    """A mail of several parts; one in another needs a boundary of its own."""
    return HEAD.encode() + multipart(parts, kind, boundary)


def text(body: str = "See what is attached.\n", *headers: str) -> bytes:
    """The text of a mail."""
    return part(body, "Content-Type: text/plain; charset=utf-8", *headers)


def attached(data: bytes, name: str = "lease.pdf", kind: str = "application/pdf") -> bytes:
    """A file in base64."""
    return part(
        base64.encodebytes(data),
        f"Content-Type: {kind}",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{name}"',
    )


def nested(data: bytes) -> bytes:
    """A mail in a mail."""
    return part(data, "Content-Type: message/rfc822")


def deep(depth: int) -> bytes:
    """A mail that lies in so many others; the innermost says so."""
    data = mail("At last.\n", "Content-Type: text/plain")
    for _ in range(depth):
        data = mail(data, "Content-Type: message/rfc822")
    return data
