"""A folder of documents with one result each. An interrupted batch continues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.cli.documents.claims import Claims
from services.cli.documents.files import Results, read_file, sha256
from services.cli.output.lines import container, count, error_line, is_flagged, plain
from shared.errors import SuiteError

UNSURE = "of unsure kind"


@dataclass(frozen=True)
class FileReader:
    """How a batch handles a file."""

    most_bytes: int
    maker: Callable[[str, bytes], str]  # specialists and versions that would read these bytes
    result: Callable[[str, bytes], Mapping[str, Any]]
    """The result of one file. Raises SuiteError."""


@dataclass
class Batch:
    """Handles files one after another, and counts them.

    Several batches can share a folder: each file is claimed first. A file that another batch has
    claimed is left for `wait_for`.

    Args:
        resume: whether to keep an existing result of the same bytes and maker.
    """

    work: FileReader
    results: Results
    resume: bool = True
    done: int = 0
    reused: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    """Documents of each kind that is sure, parts included, without mails and archives."""
    shown_kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Documents by the kind of the file around them, if any, and their own."""
    unsure: list[str] = field(default_factory=list)
    """Documents whose kind is unsure."""
    flagged: list[str] = field(default_factory=list)
    """Files with a flagged report."""
    elsewhere: list[str] = field(default_factory=list)
    """Files that another batch has claimed, for `wait_for`."""

    def __post_init__(self) -> None:
        self._claims = Claims(self.results.folder)
        self._claims.require_locks()

    def file(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The line of a file, after its receipt is stored; None if another batch has claimed it."""
        with self._claims.claim(self.results.name(Path(path))) as claimed:
            line = self._line(path) if claimed else None
        if line is None:
            self.elsewhere.append(path)
        else:
            yield line

    def wait_for(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Like `file`, but waits for the claim."""
        with self._claims.claim(self.results.name(Path(path)), wait=True):
            line = self._line(path)
        yield line

    def _line(self, path: str) -> Mapping[str, Any]:
        source = Path(path)
        digest, maker = None, None
        try:
            data = read_file(path, self.work.most_bytes)
            digest, maker = sha256(data), self.work.maker(path, data)
            if self.resume and (before := self.results.done(source, digest, maker)):
                return self._counted({**before, "source": path}, reused=True)
            line = dict(self.work.result(path, data))
        except Exception as error:
            if getattr(error, "ends_all", False):
                raise
            line = error_line(path, error)
        self.results.keep(source, line, digest, maker)
        return self._counted(line, reused=False)

    def _counted(self, line: dict[str, Any], *, reused: bool) -> dict[str, Any]:
        if "error" in line:
            self.failures.append(line)
        else:
            self.done += 1
            self.reused += reused
            self._note_kinds(line)
            if is_flagged(line):
                self.flagged.append(line["source"])
        return line

    def _note_kinds(self, line: Mapping[str, Any], around: str = "") -> None:
        if "kind" not in line:
            return  # a failed part
        kind = container(line.get("document", {}).get("media_type", ""))
        if not kind and "parts" in line:
            kind = "file"  # a mail or archive that was read as a report
        if line["kind_unsure"]:
            kind = UNSURE
            self.unsure.append(line["source"])
        elif not kind:
            kind = line["kind"]
            self.kinds[kind] += 1
        self.shown_kinds[around, kind] += 1
        for part in line.get("parts", ()):
            self._note_kinds(part, around or kind)

    def _counted_kinds(self, around: str = "") -> Iterator[str]:
        """`2 contracts`, `1 mail with 1 report` and so on."""
        for (outer, kind), number in sorted(self.shown_kinds.items()):
            if outer == around:
                inner = "" if around else " and ".join(self._counted_kinds(kind))
                counted = f"{number} {UNSURE}" if kind == UNSURE else count(number, kind)
                yield f"{counted} with {inner}" if inner else counted

    def summary(self) -> dict[str, Any]:
        """The outcome of every file, with reasons for failures."""
        return {
            "folder": str(self.results.inputs),
            "results": str(self.results.folder),
            "files": self.done + len(self.failures),
            "worked": self.done,
            "of_these_before": self.reused,
            "kinds": dict(self.kinds),
            "kind_unsure": self.unsure,
            "flagged": self.flagged,
            "failed": self.failures,
        }

    def shown(self) -> Iterator[str]:
        """The summary for a person."""
        before = f" ({self.reused} already done)" if self.reused else ""
        found = ", ".join(self._counted_kinds())
        files = count(self.done + len(self.failures), "file")
        yield f"{self.done} of {files} worked{before}{': ' if found else ''}{found}"
        for source in self.flagged:
            yield f"  {plain(source)}: flagged"
        yield f"results and {Results.SUMMARY}: {plain(str(self.results.folder))}"


class CannotStart(SuiteError):
    """Something that the command needs is missing, so no file can be handled."""

    code = "cannot_start"
    ends_all = True
