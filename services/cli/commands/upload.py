"""The command `smallprint upload`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.documents.batch import CannotStart
from services.cli.documents.files import STANDARD_INPUT, files_below
from services.cli.options import (
    as_json,
    kind_option,
    password_option,
    paths_argument,
    suite_options,
)
from services.cli.output import tables
from services.cli.output.lines import OutputWriter, count, print_hint
from services.cli.output.progress import each_file
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.client import Document


@click.command()
@paths_argument
@as_json
@suite_options
@kind_option("Kind of the documents. By default smallprint detects it.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    help="Specialist that reads the contracts; may be repeated.",
)
@password_option
@click.option("--wait", is_flag=True, help="Wait until the documents have ended.")
def upload(
    paths: Sequence[str],
    as_json: bool,
    url: str | None,
    data: Path | None,
    key: str | None,
    kind: Any,
    adapters: Sequence[str],
    password: str | None,
    wait: bool,
) -> int:
    """Upload documents to a running suite.

    A folder gives all files below it. A large upload continues after a broken connection. The same
    bytes are one document, so you can run the command again.

    With --wait, a document that ends as failed or rejected counts as failed. With --json one line a
    file: `source`, `id`, `name`, `state`, `outcome`, `reasons` and `warnings`.

    \b
    Examples:
      smallprint upload lease.pdf --wait
      smallprint upload ~/contracts
      smallprint upload *.pdf --url https://papers.example --json
      smallprint upload lease.pdf --kind contract --data ~/smallprint-data
      smallprint upload terms.html --adapter contract-clauses --adapter unfair-terms
    """
    from smallprint import ApiError, Client

    from services.cli.deployment.address import address_and_key
    from services.cli.deployment.connection import refused

    where, key = address_and_key(url, key, data)
    sources = list(chain.from_iterable(map(_files, paths)))
    lines = OutputWriter(as_json=as_json, table=tables.uploaded)
    sent: dict[str, Mapping[str, Any]] = {}
    answers = True

    def line(path: str, request: Callable[[], Document]) -> Mapping[str, Any]:
        """The line of a file after a request. There are no more requests after no answer.

        Raises CannotStart then for people, who would see the same error for each file.
        """
        nonlocal answers
        if not answers:
            return _failed(path, "no_answer", "the suite does not answer")
        try:
            return _uploaded(path, request())
        except ApiError as error:
            answers = error.code != "no_answer"
            detail = error.detail if answers else refused(error, where).message
            if not answers and not as_json:
                stored = sum("id" in one for one in sent.values())
                raise CannotStart(
                    f"{detail}. {stored} of {count(len(sources), 'file')} reached the suite: run "
                    "the command again, no document is stored twice"
                ) from None
            return _failed(path, error.code, detail)
        except FileNotFoundError:
            return _failed(path, "unreadable_file", "there is no such file")
        except OSError as error:
            why = f"the file can't be read: {error.strerror or error}"
            return _failed(path, "unreadable_file", why)

    with Client(where, key) as client:

        def send(path: str) -> Iterator[Mapping[str, Any]]:
            content = sys.stdin.buffer.read() if path == STANDARD_INPUT else path
            options = {"kind": kind, "password": password, "adapters": adapters}
            sent[path] = line(path, lambda: client.upload(content, **options))
            if not wait:
                yield sent[path]

        def result(path: str) -> Iterator[Mapping[str, Any]]:
            one = sent[path]
            if "error" not in one:
                one = line(path, lambda: client.wait(one["id"], timeout=math.inf))
            yield _refused_result(one) if one.get("outcome") in ("failed", "rejected") else one

        each_file(sources, lines, send, "uploading")
        if wait:
            each_file(sources, lines, result)
    if lines.worked and not wait and not as_json:
        print_hint("`smallprint documents show ID` shows the outcome, as does --wait")
    return lines.exit_code


def _files(path: str) -> list[str]:
    """A file, or the files below a folder. Raises SuiteError if there are none."""
    if not Path(path).is_dir():
        return [path]
    found = list(files_below(path))
    if not found:
        raise SuiteError(f"there are no files in {path}")
    return found


def _failed(source: str, code: str, detail: str) -> dict[str, Any]:
    return {"source": source, "error": {"type": code, "detail": detail}}


def _uploaded(source: str, document: Document) -> dict[str, Any]:
    return {
        "source": source,
        "id": document.id,
        "name": document.name,
        "state": document.state,
        "outcome": document.outcome,
        "reasons": list(document.reasons),
        "warnings": list(document.warnings),
    }


def _refused_result(line: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a document that ended without a result."""
    reasons = "; ".join(line["reasons"])
    code = reasons.partition(": ")[0] or line["outcome"]
    detail = f"{line['outcome']}: {reasons}" if reasons else line["outcome"]
    return {**line, **_failed(line["source"], code, detail)}
