"""Damage documents of every format in random ways, for a given time.

    python -m tests.unit.documents.fuzz docx html odt rtf --minutes 5

The program tries each format for some minutes, by default all formats. Hypothesis shrinks and
prints the failing document. Unlike the tests, the program also checks how long each document takes.
Documents are cut, spliced and sprinkled with words of their format. In archives, this happens to
the parts. Mails and archives are unpacked too. No text is recognised in pictures: it is too slow.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import time
import zipfile
from collections.abc import Callable
from functools import cache

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from shared.documents import Attachment, Limits, unpack
from shared.documents.containers.zip_package import Package
from shared.documents.sandbox import Reader
from shared.errors import UnreadableDocument
from tests.unit.documents import mails
from tests.unit.documents.archives import archive, changed
from tests.unit.documents.ends import outcome
from tests.unit.documents.fuzz_words import PARTS, WORDS
from tests.unit.documents.outlook_files import Attached, Outlook
from tests.unit.documents.samples import drawn_in_a_form, plain, sample
from tests.unit.documents.scanned import picture, saved
from tests.unit.documents.test_xbrl import INSTANCE, inline
from tests.unit.documents.word import (
    FOLDER,
    docx,
    field,
    level,
    lists,
    numbered,
    p,
    r,
    row,
    table,
)

LIMITS = Limits(max_plain_text=200_000, max_pages=100)
SHEETS = FOLDER.parent / "sheets"
_AT_ONCE = 100
_MEMORY = 4_000_000_000
"""Bytes that this process may take, so that a document which asks for more ends it alone."""
SLOW = 20.0  # seconds of processor time for a document of a few kilobytes

FORMATS = tuple(WORDS)
_NATIVE = ("xls", "ods")
"""Read by calamine, which can take all memory, or abort its process: so not in this one."""
_CONTAINERS = ("eml", "msg", "zip")


@cache
def samples(kind: str) -> tuple[bytes, ...]:
    return _SAMPLES[kind]() if kind in _SAMPLES else ((FOLDER / f"agreement.{kind}").read_bytes(),)


def _docx() -> tuple[bytes, ...]:
    names = ("agreement", "lists")
    return (*((FOLDER / f"{name}.docx").read_bytes() for name in names), _everything())


def _pdf() -> tuple[bytes, ...]:
    names = ("headers_and_footers", "table", "ligatures", "rotated")
    return (*map(sample, names), plain(3), drawn_in_a_form())


def _mails() -> tuple[bytes, ...]:
    inner = mails.whole([mails.text(), mails.attached(plain(), "ü.pdf")], boundary="in")
    page = mails.part("<p>See <b>this</b>.", "Content-Type: text/html; charset=utf-8")
    parts = [mails.text(), page, mails.attached(plain()), mails.nested(inner)]
    return mails.whole(parts), mails.mail("Only text.\n"), mails.deep(3)


def _outlook() -> tuple[bytes, ...]:
    inner = Outlook("Inner", attached=[Attached("t.txt", b"text\n")])
    attached = [Attached(data=plain()), Attached("m", message=inner)]
    return (Outlook(attached=attached, html=b"<p>x").file(),)


def _zip() -> tuple[bytes, ...]:
    members = {"a/ü.txt": b"text\n" * 20, "b.pdf": plain(), "c.zip": archive({"d.txt": b"x\n"})}
    return archive(members), archive(members, zipfile.ZIP_STORED)


def _sheets(kind: str) -> Callable[[], tuple[bytes, ...]]:
    return lambda: ((SHEETS / f"balance.{kind}").read_bytes(),)


def _csv() -> tuple[bytes, ...]:
    names = ("formats.csv", "notes-1252.csv", "notes-utf16.tsv")
    return tuple((SHEETS / name).read_bytes() for name in names)


def _xbrl() -> tuple[bytes, ...]:
    fact = '<ix:nonFraction name="a:X" contextRef="m" unitRef="eps" scale="6">1.5</ix:nonFraction>'
    return INSTANCE, inline(f"<p>We had {fact}.</p>")


def _pictures(form: str) -> Callable[[], tuple[bytes, ...]]:
    return lambda: (saved(picture(), form), saved(picture("A line.").convert("RGB"), form))


_SAMPLES: dict[str, Callable[[], tuple[bytes, ...]]] = {
    "docx": _docx,
    "pdf": _pdf,
    "eml": _mails,
    "msg": _outlook,
    "zip": _zip,
    **{kind: _sheets(kind) for kind in ("xlsx", "xls", "ods")},
    "csv": _csv,
    "xml": _xbrl,
    "png": _pictures("PNG"),
    "jpg": _pictures("JPEG"),
    "tif": _pictures("TIFF"),
}


def _everything() -> bytes:
    """A small DOCX with a little of everything."""
    note = '<w:r><w:footnoteReference w:id="1"/></w:r>'
    gone = '<w:del w:author="R"><w:r><w:delText>gone</w:delText></w:r></w:del>'
    change = f'<w:ins w:author="R">{r("in")}</w:ins>{gone}'
    box = f"<w:r><w:pict><w:txbxContent>{p('box')}</w:txbxContent></w:pict></w:r>"
    body = (
        numbered("Term") + numbered("Start", 1)
        + p(r("a") + note + change + box + field("REF x", "y"))
        + table(row("a", "b"), row("c", table(row("d")))) + p("<w:r><w:br w:type='page'/></w:r>")
        + p(field("LISTNUM LegalDefault")) + "<w:sectPr><w:type w:val='nextPage'/></w:sectPr>"
    )  # fmt: skip
    parts = {
        "numbering": lists(level(0, "%1."), level(1, "%1.%2", "upperRoman")),
        "footnotes": f'<w:footnote w:id="1">{p("note")}</w:footnote>',
        "styles": '<w:style w:type="paragraph" w:styleId="A"><w:basedOn w:val="A"/></w:style>',
    }
    return docx(body, parts)


def damaged(kind: str) -> st.SearchStrategy[bytes]:
    return st.builds(damage, st.just(kind), st.integers(0, 2**32))


def damage(kind: str, number: int) -> bytes:
    """Return one damaged document of a format; the same number gives the same document."""
    chance = random.Random(number)
    data = chance.choice(samples(kind))
    if number % 10 == 9:
        return data[: chance.randrange(len(data))]
    if kind not in PARTS or chance.random() < 0.1:
        return _spliced(chance, data, WORDS[kind])
    name = chance.choice(PARTS[kind])
    part = _part(data, name)
    return changed(data, name, _spliced(chance, part, WORDS[kind])) if part else data


def _part(data: bytes, name: str) -> bytes:
    package = Package(data)
    return package.read(name) if name in package else b""


def _spliced(chance: random.Random, data: bytes, words: tuple[bytes, ...]) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((0, 0, 1, 7, 60, 900))
        start = chance.randrange(len(data) + 1)
        piece = chance.choice(
            (
                chance.choice(words),
                chance.choice(words) * chance.choice((2, 50, 3_000)),
                bytes(chance.randrange(256) for _ in range(3)),
                data[start : start + 400],
                b"",
            )
        )
        data = data[:at] + piece + data[at + length :]
    return data


def check(kind: str, data: bytes, patience: float = math.inf) -> None:
    """Reading must end properly within these seconds of CPU time."""
    began = time.process_time()
    found = outcome(data, f"fuzz.{kind}", LIMITS, _child() if kind in _NATIVE else None)
    assert found in ("read", "partial", "refused"), found
    if kind in _CONTAINERS:
        _unpack(data, f"fuzz.{kind}")
    assert time.process_time() - began < patience


@cache
def _child() -> Reader:
    return Reader(LIMITS)


def _unpack(data: bytes, name: str) -> None:
    try:
        found = list(unpack(data, name=name, limits=LIMITS).parts())
    except UnreadableDocument:
        return
    assert len(found) <= LIMITS.max_parts
    assert (
        sum(len(part.data) for part in found if isinstance(part, Attachment)) <= LIMITS.max_unpacked
    )


def tries(kind: str, count: int, number: int, patience: float = math.inf) -> Callable[[], None]:
    @seed(number)
    @settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(data=damaged(kind))
    def attempt(data: bytes) -> None:
        check(kind, data, patience)

    return attempt


def main() -> None:
    """Fuzz formats for some minutes each."""
    os.environ["PATH"] = ""  # so that nothing that recognises text is found
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", choices=("all", *FORMATS), default="all")
    parser.add_argument("--minutes", type=float, default=1.0)
    arguments = parser.parse_args()
    for kind in FORMATS if "all" in arguments.formats else arguments.formats:
        until, count, number = time.monotonic() + 60 * arguments.minutes, 0, time.time_ns()
        while time.monotonic() < until:
            tries(kind, _AT_ONCE, number + count, SLOW)()
            count += _AT_ONCE
        minutes = f"{arguments.minutes:g} minutes"
        print(f"{kind}: {count:,} damaged documents in {minutes}, none fatal", flush=True)


if __name__ == "__main__":
    main()
