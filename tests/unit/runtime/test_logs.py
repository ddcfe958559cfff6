"""The two forms of log lines."""

from __future__ import annotations

import json
import logging
import re

import pytest

from shared.logs import Form, configure_logs, log_context


@pytest.fixture(autouse=True)
def _restored() -> object:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.mark.parametrize(("form", "terminal"), [("plain", False), ("auto", True)])
def test_a_terminal_gets_short_lines(
    form: Form, terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    configure_logs("ingest", form=form)
    with log_context(document="doc_1", tenant="default", trace="00-a-b-01"):
        logging.getLogger("x").warning("a page can't be read", extra={"page": 3})
    logging.getLogger("x").info("done")
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"[0-9:]{8} warning: a page can't be read  document=doc_1  page=3", first)
    assert re.fullmatch(r"[0-9:]{8} done", second)


def test_a_path_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("ingest", form="plain")
    logging.getLogger("x").info("request", extra={"path": "/v1/a\n02:00:01 error: b\x1b[31m"})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r"path=/v1/a\n02:00:01 error: b\x1b[31m")


@pytest.mark.parametrize(("form", "terminal"), [("json", True), ("auto", False)])
def test_others_get_json(
    form: Form, terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    configure_logs("ingest", form=form)
    logging.getLogger("x").warning("a page can't be read", extra={"page": 3})
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["service"], line["page"]) == ("warning", "ingest", 3)
