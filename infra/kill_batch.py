"""Kill `smallprint batch` again and again while it works on a folder, then count the receipts.

    python -m infra.kill_batch [FOLDER] [--files 2000] [--kills 10] [--most-bytes 60000] [--seed 1]

The files are real ones: those below FOLDER (default: the setting SMALLPRINT_TEST_DATA) of types
that are read and of so many bytes at the most, repeated with small changes, so that no two are the
same. One in twenty is hostile instead. Each kill is SIGKILL, spread evenly over the work; at the
end one run is left alone. Prints a table and one closing line; exit code 0 if every file has one
receipt, no result was written twice, the summary names each failure with its reason, and it was
killed as often as asked: a folder that is done too soon shows nothing, so give it more files.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.cli.files import Results, files_below
from shared.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
ZIPPED = (".docx", ".ods", ".odt", ".xlsx", ".zip")
WITH_COMMENTS = (".html", ".htm", ".xml")
WITH_LINES = (".csv", ".eml", ".md", ".tsv", ".txt")
TYPES = (".pdf", ".json", *ZIPPED, *WITH_COMMENTS, *WITH_LINES)
HOSTILE_EVERY = 20
STALL_SECONDS = 1800.0
"""How long nothing new may come before it is given up."""

Document = tuple[str, bytes]
"""The suffix of a document's name, and its bytes."""


# The files


def real(folder: Path, most_bytes: int) -> list[Document]:
    """The real documents below a folder. Raises SettingsError if there is none."""
    paths = (Path(path) for path in files_below(str(folder)))
    different = {
        path.read_bytes(): path.suffix.lower()
        for path in paths
        if path.suffix.lower() in TYPES and 0 < path.stat().st_size <= most_bytes
    }
    found = [(suffix, data) for data, suffix in different.items()]
    if not found:
        raise SettingsError(
            f"{folder} has no document of at most {most_bytes} bytes: name another folder, or more"
            " bytes with --most-bytes"
        )
    return found


def changed(document: Document, number: int) -> Document:
    """The same document in other bytes, by a remark that its type allows."""
    suffix, data = document
    remark = f"copy {number}"
    if suffix == ".pdf":
        return suffix, data + f"\n% {remark}\n".encode()
    if suffix in WITH_COMMENTS:
        return suffix, data + f"\n<!-- {remark} -->\n".encode()
    if suffix in WITH_LINES:
        return suffix, data + f"\n{remark}\n".encode()
    if suffix in ZIPPED:
        package = io.BytesIO(data)
        with zipfile.ZipFile(package, "a") as archive:
            archive.comment = remark.encode()
        return suffix, package.getvalue()
    return suffix, data + b" " * number  # JSON


def hostile(number: int, chance: random.Random, victim: Document) -> Document:
    """A file that is broken, or made to break its reader; each number another one."""
    kinds: list[Callable[[], Document]] = [
        lambda: (".pdf", b""),
        lambda: (".pdf", b"%PDF-1.7\n" + chance.randbytes(5000)),
        lambda: (victim[0], victim[1][: len(victim[1]) // 2]),
        lambda: (".json", b"[" * 100_000 + str(number).encode()),
        lambda: (".xml", _entities(number)),
        lambda: (".zip", _bomb(number)),
        lambda: (".png", _vast_picture(number)),
        lambda: (".bin", chance.randbytes(2000)),
    ]
    return kinds[number % len(kinds)]()


def _entities(number: int) -> bytes:
    """Entities that stand for ten of the one before."""
    names = [f"a{level}" for level in range(12)]
    lines = [f'<!ENTITY {names[0]} "{number}">']
    lines += [f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise(names)]
    return f"<?xml version='1.0'?><!DOCTYPE x [{''.join(lines)}]><x>&{names[-1]};</x>".encode()


def _bomb(number: int) -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(f"{number}.txt", b"0" * 60_000_000)
    return package.getvalue()


def _vast_picture(number: int) -> bytes:
    """A PNG that says it has 60,000 by 60,000 points."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000 + number)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def fill(folder: Path, documents: Sequence[Document], files: int, seed: int) -> int:
    """Write so many files, no two of the same bytes but for empty ones; returns how many of them
    are hostile.
    """
    chance = random.Random(seed)
    enemies = 0
    for number in range(files):
        document = documents[number % len(documents)]
        name = f"{number:05d}"
        if number % HOSTILE_EVERY == HOSTILE_EVERY // 2:
            suffix, data = hostile(enemies, chance, document)
            name += "-\N{RIGHT-TO-LEFT OVERRIDE}hostile"
            enemies += 1
        else:
            suffix, data = changed(document, number // len(documents))
        path = folder / f"{number % 10}" / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return enemies


# The run


@dataclass(frozen=True)
class Place:
    """The folders of one run."""

    inputs: Path
    results: Path

    @classmethod
    def below(cls, folder: Path) -> Place:
        """Two new folders."""
        return cls(folder / "in", folder / "out")

    def written(self) -> dict[str, tuple[int, int]]:
        """The receipts of what worked, by place: inode and time of writing in nanoseconds."""
        found = {}
        for path in self._receipts():
            if "error" not in json.loads(path.read_bytes()):
                state = path.stat()
                found[str(path)] = (state.st_ino, state.st_mtime_ns)
        return found

    def count(self) -> int:
        """How many receipts there are."""
        return sum(1 for _ in self._receipts())

    def _receipts(self) -> Iterator[Path]:
        return (
            path
            for path in map(Path, files_below(str(self.results)))
            if path != self.results / Results.SUMMARY
        )


@dataclass
class Report:
    """What a run gave."""

    files: int
    hostile: int
    asked: int
    """How often it was to be killed."""
    kills: list[int]
    """Receipts that there were at each kill; fewer than asked if a run ended by itself before."""
    receipts: int
    worked: int
    missing: list[str]
    twice: list[str]
    """Results that were written again after they were there."""
    errors: Counter[str]
    unnamed: list[str]
    """Failures that the summary does not name, or without a reason."""
    exit_code: int
    seconds: float

    @property
    def good(self) -> bool:
        """Whether it was killed as often as asked, nothing was lost and nothing was done twice."""
        wrong = self.missing or self.twice or self.unnamed or len(self.kills) != self.asked
        return self.receipts == self.files and not wrong and self.exit_code in (0, 1)

    def table(self) -> Iterator[str]:
        """Lines for a person."""
        yield f"{self.files:>6}  files, {self.hostile} of them hostile"
        for number, receipts in enumerate(self.kills, start=1):
            yield f"{receipts:>6}  receipts at kill {number}"
        yield f"{self.receipts:>6}  receipts at the end"
        yield f"{self.worked:>6}  results"
        for code, count in self.errors.most_common():
            yield f"{count:>6}  failed: {code}"
        for what, names in (
            ("without a receipt", self.missing),
            ("done twice", self.twice),
            ("failed and not named", self.unnamed),
        ):
            yield f"{len(names):>6}  {what}{': ' if names else ''}{', '.join(names[:5])}"
        verdict = "GOOD" if self.good else "BAD"
        yield (
            f"{verdict}: {len(self.kills)} of {self.asked} kills, {self.files} files, "
            f"{self.receipts} receipts, {len(self.twice)} twice, "
            f"{sum(self.errors.values())} failed, {self.seconds:.0f} s"
        )


def run(
    place: Place,
    documents: Sequence[Document],
    files: int,
    kills: int,
    seed: int,
    tell: Callable[[str], None] = print,
) -> Report:
    """Make the folder, work on it while it is killed, and count."""
    began = time.monotonic()
    chance = random.Random(seed)
    enemies = fill(place.inputs, documents, files, seed)
    killed: list[int] = []
    written: dict[str, tuple[int, int]] = {}
    twice: set[str] = set()
    for turn in range(1, kills + 1):
        with _batch(place) as process:
            _wait(process, place, turn * files // (kills + 1))
            time.sleep(chance.uniform(0.0, 0.3))
            if process.poll() is not None:
                break  # it ended by itself, which the report says
            process.send_signal(signal.SIGKILL)
        killed.append(place.count())
        tell(f"killed {turn} of {kills} times, {killed[-1]} of {files} receipts")
        now = place.written()
        twice |= written_again(written, now)
        written |= now
    with _batch(place) as process:
        exit_code = process.wait()
    now = place.written()
    return counted(
        place,
        Report(
            files=files,
            hostile=enemies,
            asked=kills,
            kills=killed,
            receipts=place.count(),
            worked=len(now),
            missing=[],
            twice=sorted(twice | written_again(written, now)),
            errors=Counter(),
            unnamed=[],
            exit_code=exit_code,
            seconds=time.monotonic() - began,
        ),
    )


def counted(place: Place, report: Report) -> Report:
    """Hold files, receipts and summary against each other."""
    results = Results(place.results, place.inputs)
    summary = json.loads((place.results / Results.SUMMARY).read_bytes())
    named = {one["source"]: one["error"]["detail"] for one in summary["failed"]}
    for name in files_below(str(place.inputs)):
        receipt = results.receipt(Path(name))
        if receipt is None:
            report.missing.append(name)
        elif "error" in receipt:
            report.errors[receipt["error"]["type"]] += 1
            if not named.get(name):
                report.unnamed.append(name)
        elif name in named:
            report.unnamed.append(name)
    if summary["files"] != report.files:
        report.unnamed.append(f"{Results.SUMMARY}: {summary['files']} files")
    return report


def written_again(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> set[str]:
    """The receipts of before that are not the same files any more."""
    return {name for name, state in before.items() if now.get(name) != state}


def _batch(place: Place) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "services.cli", "batch", str(place.inputs)]
    return subprocess.Popen(
        [*command, "--out", str(place.results)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait(process: subprocess.Popen[bytes], place: Place, receipts: int) -> None:
    """Until there are so many receipts, or the process has ended by itself."""
    known, until = -1, time.monotonic() + STALL_SECONDS
    while process.poll() is None and (count := place.count()) < receipts:
        if count != known:
            known, until = count, time.monotonic() + STALL_SECONDS
        elif time.monotonic() > until:
            raise SystemExit(f"nothing new for {STALL_SECONDS:.0f} s at {count} receipts")
        time.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.kill_batch", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", nargs="?", default=os.environ.get("SMALLPRINT_TEST_DATA", ""))
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--most-bytes", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    if not asked.folder:
        raise SettingsError("name a folder of documents, or set SMALLPRINT_TEST_DATA")
    documents = real(Path(asked.folder), asked.most_bytes)
    with tempfile.TemporaryDirectory(prefix="smallprint-kill-batch-") as name:
        place = Place.below(Path(name))
        report = run(place, documents, asked.files, asked.kills, asked.seed)
    print("\n".join(report.table()))
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
