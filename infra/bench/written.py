"""Documents that other programs write, to read them with ours: LibreOffice, poppler, mpack, zip.

None of them is needed to run or test the suite; what is not installed is said, and left out. On
Debian: `apt-get install libreoffice-writer-nogui libreoffice-calc-nogui poppler-utils mpack zip`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

TEXT_FORMATS = ("docx", "odt", "rtf", "html", "pdf", "doc")
TABLE_FORMATS = ("xlsx", "xls", "ods")
_FILTERS = {"docx": "docx:MS Word 2007 XML", "odt": "odt:writer8", "rtf": "rtf:Rich Text Format"}
"""By name where LibreOffice would not find a way from one of its programs to another."""
_SECONDS = 300  # for one document


def installed(program: str) -> bool:
    """Whether a program can be called."""
    return shutil.which(program) is not None


def office(path: Path, form: str, out: Path) -> Path:
    """What LibreOffice makes of a file, as `form` (a suffix), in the folder `out`."""
    with tempfile.TemporaryDirectory() as profile:
        _run(
            *("soffice", "--headless", f"-env:UserInstallation=file://{profile}"),
            *("--convert-to", _FILTERS.get(form, form), "--outdir", str(out), str(path)),
        )
    made = out / f"{path.stem}.{form}"
    if not made.exists():
        raise RuntimeError(f"LibreOffice wrote no {form} of {path}")
    return made


def pictures(pdf: Path, form: str, out: Path, *, last: int = 1, dpi: int = 200) -> list[Path]:
    """The first pages of a PDF as pictures (`png`, `jpeg` or `tiff`), drawn by poppler."""
    stem = out / f"{pdf.stem}-{form}"
    _run("pdftoppm", "-r", str(dpi), "-l", str(last), f"-{form}", str(pdf), str(stem))
    return sorted(out.glob(f"{stem.name}-*"))


def all_of(text: Path, table: Path, out: Path) -> Iterator[str]:
    """Write one text and one table in every format; yields what is not installed, as lines."""
    out.mkdir(parents=True, exist_ok=True)
    if installed("soffice"):
        for source, forms in ((text, TEXT_FORMATS), (table, TABLE_FORMATS)):
            for form in forms:
                office(source, form, out)
    else:
        yield "soffice is not installed: no Office documents by it"
    pdf = out / f"{text.stem}.pdf"
    if installed("pdftoppm") and pdf.exists():
        for form in ("png", "jpeg", "tiff"):
            pictures(pdf, form, out)
    else:
        yield "pdftoppm is not installed, or has no PDF to draw: no pictures by it"
    attachments = sorted([*out.glob("*.docx"), *out.glob("*.xlsx")])
    for program in ("mpack", "zip"):
        if not installed(program) or not attachments:
            yield f"{program} is not installed, or has nothing to take: nothing by it"
    if installed("mpack") and attachments:
        _run("mpack", "-s", "Draft", "-o", str(out / "mail.eml"), str(attachments[0]))
    if installed("zip") and attachments:
        _run("zip", "-qj", str(out / "archive.zip"), *map(str, attachments))


def _run(*command: str) -> None:
    subprocess.run(
        command,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_SECONDS,
    )
