"""A folder of documents, one result each, that can be cut off at any moment and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.cli.claims import Claims
from shared.cli.files import Results, read_file, sha256
from shared.cli.lines import error_line, plain
from shared.errors import SuiteError


@dataclass(frozen=True)
class Work:
    """What a batch does with a file."""

    most_bytes: int
    maker: Callable[[str, bytes], str]
    """What would make the result of these bytes: specialist and version."""
    result: Callable[[str, bytes], Mapping[str, Any]]
    """The result of one file; raises SuiteError where there is none."""


@dataclass
class Batch:
    """Works on files one after the other, and keeps the count.

    Several of them share one folder: each file is claimed before it is worked on, and what another
    one has in hand is left for later.

    Args:
        resume: whether a finished result of the same bytes and maker is left as it is.
    """

    work: Work
    results: Results
    resume: bool = True
    done: int = 0
    kept: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """The files that somebody else had in hand; `rest` is for them."""

    def __post_init__(self) -> None:
        self._claims = Claims(self.results.folder)
        self._claims.require_locks()
        self._began = self.results.moment()

    def file(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The one line about a file, after its receipt is safely stored; none if somebody else has
        it in hand.
        """
        with self._claims.claim(self.results.name(Path(path))) as ours:
            line = self._line(path) if ours else None
        if line is None:
            self.elsewhere.append(path)
        else:
            yield line

    def rest(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The same, but waits until nobody else has the file in hand."""
        with self._claims.claim(self.results.name(Path(path)), wait=True):
            line = self._line(path)
        yield line

    def _line(self, path: str) -> Mapping[str, Any]:
        source = Path(path)
        digest, maker = None, None
        try:
            data = read_file(path, self.work.most_bytes)
            digest, maker = sha256(data), self.work.maker(path, data)
            line = self._before(source, digest, maker)
            if line is not None:
                return self._counted({**line, "source": path}, kept=True)
            line = dict(self.work.result(path, data))
        except Exception as error:
            if getattr(error, "ends_all", False):
                raise
            line = error_line(path, error)
        self.results.keep(source, line, digest, maker)
        return self._counted(line, kept=False)

    def _before(self, source: Path, digest: str, maker: str) -> dict[str, Any] | None:
        """The receipt that makes work on a file needless: an earlier result, or whatever somebody
        else made of it since we began.
        """
        if self.resume and (line := self.results.done(source, digest, maker)):
            return line
        return self.results.written_since(source, digest, maker, self._began)

    def _counted(self, line: dict[str, Any], *, kept: bool) -> dict[str, Any]:
        if "error" in line:
            self.failures.append({k: v for k, v in line.items() if k != "batch"})
        else:
            self.done += 1
            self.kept += kept
        return line

    def summary(self) -> dict[str, Any]:
        """What became of every file; failures with their reasons."""
        return {
            "folder": str(self.results.inputs),
            "results": str(self.results.folder),
            "files": self.done + len(self.failures),
            "worked": self.done,
            "of_these_before": self.kept,
            "failed": self.failures,
        }

    def shown(self) -> Iterator[str]:
        """The summary for a person."""
        before = f" ({self.kept} of them before)" if self.kept else ""
        yield f"{self.done} worked{before}, {len(self.failures)} failed"
        for failure in self.failures:
            error = failure["error"]
            yield f"  {plain(failure['source'])}: {plain(error['detail'])}"
        yield f"results and {Results.SUMMARY}: {plain(str(self.results.folder))}"


class CannotStart(SuiteError):
    """What the command needs is missing, so that no file could be worked on."""

    code = "cannot_start"
    ends_all = True
