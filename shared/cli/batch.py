"""A folder of documents, one result each, that can be cut off at any moment and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

    Args:
        resume: whether a finished result of the same bytes and maker is left as it is.
    """

    work: Work
    results: Results
    resume: bool = True
    done: int = 0
    kept: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def file(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The one line about a file, after its result is safely stored."""
        source = Path(path)
        try:
            data = read_file(path, self.work.most_bytes)
            digest, maker = sha256(data), self.work.maker(path, data)
            line = self.results.done(source, digest, maker) if self.resume else None
            if line is not None:
                line = {**line, "source": path}
                self.kept += 1
            else:
                line = dict(self.work.result(path, data))
                self.results.keep(source, line, digest, maker)
            self.done += 1
            yield line
        except Exception as error:
            if getattr(error, "ends_all", False):
                raise
            failure = error_line(path, error)
            self.results.forget(source)
            self.failures.append(failure)
            yield failure

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
