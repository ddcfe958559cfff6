"""`smallprint upload`: files and folders that a running suite takes, refuses, or has already."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.samples import document_json
from tests.unit.cli.builders import invoke, lines, put_suite, refusal


class Suite:
    """Takes documents, which end as `end`. After `stops_before` requests it does not answer."""

    def __init__(self) -> None:
        self.name = "a.txt"
        self.end = document_json(name="a.txt", warnings=["page 2 is a scan"])
        self.requests: list[str] = []
        self.stops_before = 100

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        if len(self.requests) == self.stops_before:
            raise httpx.ConnectError("refused")
        self.requests.append(f"{request.method} {request.url.path}")
        if request.method == "GET":
            return httpx.Response(200, json=self.end)
        if b"nobody" in body:
            return refusal(422, "unknown_adapter", "there is: contract-clauses, unfair-terms")
        if b"picture" in body:
            return refusal(415, "unsupported_type", "this is a picture")
        received = document_json(name=self.name, state="received", outcome=None, ended=None)
        return httpx.Response(202, json=received)


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Suite:
    suite = Suite()
    put_suite(monkeypatch, suite)
    return suite


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(b"An agreement.")
    return path


def test_each_upload_is_a_line(suite: Suite, paper: Path) -> None:
    picture, missing = paper.with_name("b.png"), paper.with_name("c.txt")
    picture.write_bytes(b"picture")
    done = invoke("upload", "--json", paper, picture, missing)
    assert done.return_value == 1, done.output
    taken, refused, lost = lines(done.stdout)
    named = {"source": str(paper), "id": "doc_1", "name": "a.txt", "state": "received"}
    assert taken == {**named, "outcome": None, "reasons": [], "warnings": []}
    assert refused["error"] == {"type": "unsupported_type", "detail": "this is a picture"}
    assert lost["error"]["type"] == "unreadable_file"
    assert "there is no such file" in lost["error"]["detail"]
    done = invoke("upload", paper)
    assert done.stdout == f"{paper}  doc_1  (received)\n"
    assert "documents show ID" in done.stderr


def test_an_upload_to_an_unknown_adapter_names_those_there_are(suite: Suite, paper: Path) -> None:
    names = ("--adapter", "unfair-terms", "--adapter", "nobody")
    (line,) = lines(invoke("upload", "--json", paper, *names).stdout)
    assert line["error"]["type"] == "unknown_adapter"
    assert "contract-clauses, unfair-terms" in line["error"]["detail"]


def test_known_bytes_are_named_as_the_suite_names_them(suite: Suite, paper: Path) -> None:
    suite.name = "supply.txt"
    assert "(received, already here as supply.txt)" in invoke("upload", paper).stdout
    strange = paper.rename(paper.with_name("a: b?.txt"))
    suite.name = "a_ b_.txt"
    assert "already here" not in invoke("upload", strange).stdout


def test_a_folder_gives_its_files(suite: Suite, paper: Path) -> None:
    inner = paper.parent / "more" / "b.txt"
    inner.parent.mkdir()
    inner.write_bytes(b"Another one.")
    (paper.parent / ".hidden").touch()
    (paper.parent / "none").mkdir()
    done = invoke("upload", "--json", paper.parent)
    assert [line["source"] for line in lines(done.stdout)] == [str(paper), str(inner)]
    assert "there are no files" in str(invoke("upload", paper.parent / "none").exception)


@pytest.mark.parametrize(
    ("end", "code", "shown"),
    [
        ({}, 0, "(complete)\n  ! page 2 is a scan"),
        ({"outcome": "partial"}, 0, "(partial)"),
        ({"outcome": "rejected", "reasons": ["not_our_kind: no"]}, 2, "rejected: not_our_kind: no"),
        ({"outcome": "failed", "reasons": ["bad: a", "b: c"]}, 2, "failed: bad: a; b: c"),
    ],
)
def test_with_wait_the_outcome_of_each_is_shown(
    suite: Suite, paper: Path, end: dict[str, object], code: int, shown: str
) -> None:
    suite.end |= end
    done = invoke("upload", paper, "--wait")
    assert done.return_value == code
    assert shown in done.output
    missing = paper.with_name("c.txt")
    lost, ended = lines(invoke("upload", missing, paper, "--wait", "--json").stdout)
    assert lost["source"] == str(missing)
    assert (ended["id"], ended["state"], "error" in ended) == ("doc_1", "ended", bool(code))


@pytest.mark.parametrize(("wait", "number", "stored"), [([], 1, 1), (["--wait"], 4, 3)])
def test_a_stopped_suite_is_named_once(
    suite: Suite, paper: Path, wait: list[str], number: int, stored: int
) -> None:
    for name in ("b.txt", "c.txt"):
        paper.with_name(name).write_bytes(b"Another one.")
    suite.stops_before = number
    assert f"{stored} of 3 files reached" in str(invoke("upload", paper.parent, *wait).exception)
    assert len(suite.requests) == number
    suite.requests.clear()
    done = invoke("upload", paper.parent, *wait, "--json")
    assert done.return_value == 1
    assert len(suite.requests) == number
    errors = [line["error"]["type"] for line in lines(done.stdout) if "error" in line]
    assert errors == ["no_answer", "no_answer"]
