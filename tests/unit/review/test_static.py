"""The pages and their content security policy."""

from __future__ import annotations

import re

import pytest

from services.review.static_files import FOLDER, VIEWS
from tests.unit.review.builders import ReviewService

FORBIDDEN = {
    ".html": r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://|javascript:",
    ".css": r"@import|url\(|https?://",
    ".js": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    r"|createContextualFragment|DOMParser|setAttribute\(\"style\"|https?://",
}


@pytest.mark.parametrize("query", ["", "?item=it_1&x=2"])
@pytest.mark.parametrize("path", [view.replace("{document}", "doc_1") for view in VIEWS])
def test_every_address_of_a_view_answers_the_shell(
    review: ReviewService, path: str, query: str
) -> None:
    answer = review.client("").get(path + query)
    assert answer.status_code == 200
    assert "<main" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_of_the_routes_loads_only_files_of_this_origin(review: ReviewService) -> None:
    client = review.client("")
    answer = client.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    loaded = re.findall(r'(?:src|href)="(/pages/[^"]+)"', answer.text)
    assert "/pages/swagger-ui-bundle.js" in loaded
    assert {client.get(path).status_code for path in loaded} == {200}


def test_files_have_types_and_tags(review: ReviewService) -> None:
    client = review.client("")
    parts = sorted(path.name for path in FOLDER.iterdir())
    assert len(parts) > 10
    for name in parts:
        first = client.get(f"/pages/{name}")
        assert first.status_code == 200, name
        again = client.get(f"/pages/{name}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), name
    assert client.get("/pages/app.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("name", ["no.js", "..%2Fbootstrap.py", "%2e%2e/settings.py"])
def test_other_files_are_not_served(review: ReviewService, name: str) -> None:
    assert review.client("").get(f"/pages/{name}").status_code == 404


@pytest.mark.parametrize(
    ("path", "accept", "shown"),
    [
        ("/nonsense", "text/html,*/*", True),
        ("/documents/a/b", "text/html", True),
        ("/nonsense", "*/*", False),
        ("/v1/nonsense", "text/html", False),
        ("/pages/no.js", "text/html", False),
    ],
)
def test_a_browser_at_an_unknown_address_gets_the_shell(
    review: ReviewService, path: str, accept: str, shown: bool
) -> None:
    client = review.client("")
    answer = client.get(path, headers={"accept": accept})
    assert answer.status_code == 404
    assert ("<main" in answer.text) == shown
    if shown:
        again = {"accept": accept, "if-none-match": answer.headers["etag"]}
        assert client.get(path, headers=again).status_code == 404
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    else:
        assert answer.json()["type"] == "urn:smallprint:problem:not_found"


def test_no_file_has_inline_code_or_foreign_addresses() -> None:
    files = [path for path in FOLDER.iterdir() if path.suffix in FORBIDDEN]
    assert len(files) > 10
    for path in files:
        found = re.search(FORBIDDEN[path.suffix], path.read_text("utf-8"))
        assert found is None, f"{path.name}: {found}"


def test_the_shell_says_that_it_gives_no_advice() -> None:
    assert "no legal or audit advice" in (FOLDER / "index.html").read_text("utf-8")
