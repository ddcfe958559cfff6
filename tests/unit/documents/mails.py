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
    lines = "".join(f"{header}\n" for header in headers)
    content = body.encode() if isinstance(body, str) else body
    return (head + lines).encode("utf-8", "surrogateescape") + b"\n" + content


def part(body: bytes | str, *headers: str) -> bytes:
    return mail(body, *headers, head="")


def multipart(parts: Sequence[bytes], kind: str = "mixed", boundary: str = "=_b") -> bytes:
    inner = b"".join(b"--%s\n%s\n" % (boundary.encode(), one) for one in parts)
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n'.encode()
    return head + inner + b"--%s--\n" % boundary.encode()


def whole(parts: Sequence[bytes], kind: str = "mixed", boundary: str = "=_b") -> bytes:
    return HEAD.encode() + multipart(parts, kind, boundary)


def text(body: str = "See what is attached.\n", *headers: str) -> bytes:
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
    return part(data, "Content-Type: message/rfc822")


def deep(depth: int) -> bytes:
    data = mail("At last.\n", "Content-Type: text/plain")
    for _ in range(depth):
        data = mail(data, "Content-Type: message/rfc822")
    return data
