"""Real filings in HTML: every one reads, and reads as a browser shows it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.documents import read
from shared.documents.office import html
from tests.support import data_folder, library, require

pytestmark = pytest.mark.slow

CHROMIUM = Path("/usr/bin/chromium")
NOTES = re.compile(r"\[(\d+)\]")  # a raised figure behind a figure
_UNSEEN = re.compile("[\\s\u00ad\u200b\u2060\ufeff]+")


def filings() -> list[Path]:
    """The filings, packed."""
    return sorted((data_folder("finance") / "raw" / "html").glob("*.htm*"))


@pytest.fixture
def letters_stay(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Symbol fonts are read as any other: styles remembered from before and after count nothing."""
    html._style.cache_clear()
    monkeypatch.setattr(html, "_font", lambda _: "")
    yield
    html._style.cache_clear()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], str]]:
    """The `innerText` of a document in Chromium, which loads nothing."""
    require(CHROMIUM.exists(), "Chromium, to see what a browser shows")
    playwright = library("playwright.sync_api", made_by="make setup-dev")
    folder = tmp_path_factory.mktemp("pages")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(java_script_enabled=True).new_page()
        page.route("http**", lambda route: route.abort())

        def inner_text(data: bytes) -> str:
            (folder / "page.html").write_bytes(data)
            page.goto((folder / "page.html").as_uri(), timeout=300_000)
            return str(page.evaluate("document.body.innerText"))

        yield inner_text
        browser.close()


def test_every_filing_reads() -> None:
    """Each has cells and consecutive pages, and no failed page."""
    paths = filings()
    assert len(paths) >= 50
    for path in paths:
        reading = read(gzip.decompress(path.read_bytes()), name=path.name)
        assert reading.media_type == "text/html"
        assert not reading.failed
        assert len(reading.cells) > 100, path.name
        assert len(reading.text) > 20_000, path.name
        for start, end in reading.furniture:
            assert 0 <= start < end <= len(reading.text)


@pytest.mark.parametrize("number", range(0, 52, 4))
@pytest.mark.usefixtures("letters_stay")
def test_a_filing_reads_as_a_browser_shows_it(number: int, shown: Callable[[bytes], str]) -> None:
    """Letter for letter and in the same order, white space apart.

    A browser's `innerText` has the letters of symbol fonts, where we have what they look like.
    """
    path = filings()[number]
    data = gzip.decompress(path.read_bytes())
    begin = re.match(rb"\s*<DOCUMENT>.*?<TEXT>", data, re.DOTALL)
    theirs = shown(data[begin.end() :] if begin else data)
    ours = NOTES.sub(r"\1", read(data, name=path.name).text)
    assert _UNSEEN.sub("", ours) == NOTES.sub(r"\1", _UNSEEN.sub("", theirs)), path.name
