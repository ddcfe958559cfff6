"""The pages are served as they lie there, under a policy that leaves nothing to chance."""

from __future__ import annotations

import re

import pytest

from services.review.static import FOLDER, VIEWS
from tests.unit.review.house import House

FORBIDDEN = {
    ".html": r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://|javascript:",
    ".css": r"@import|url\(|https?://",
    ".js": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    r"|createContextualFragment|DOMParser|setAttribute\(\"style\"|https?://",
}


@pytest.mark.parametrize("path", [view.replace("{document}", "doc_1") for view in VIEWS])
def test_every_address_of_a_view_answers_the_shell(house: House, path: str) -> None:
    """A reload or a bookmark works everywhere, signed in or not."""
    answer = house.client("").get(path)
    assert answer.status_code == 200
    assert "<main" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_parts_are_served_with_their_types_and_not_twice(house: House) -> None:
    """A browser asks again with the tag, and is told that nothing changed."""
    client = house.client("")
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
def test_nothing_else_is_served(house: House, name: str) -> None:
    """Only the parts that lie in the folder have an address."""
    assert house.client("").get(f"/pages/{name}").status_code == 404


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
def test_a_browser_at_an_address_that_nothing_has_gets_a_page(
    house: House, path: str, accept: str, shown: bool
) -> None:
    """With the status 404, however often it asks; whoever wants no page gets a problem."""
    client = house.client("")
    answer = client.get(path, headers={"accept": accept})
    assert answer.status_code == 404
    assert ("<main" in answer.text) == shown
    if shown:
        again = {"accept": accept, "if-none-match": answer.headers["etag"]}
        assert client.get(path, headers=again).status_code == 404
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    else:
        assert answer.json()["type"] == "urn:smallprint:problem:not_found"


def test_no_part_holds_what_the_policy_forbids() -> None:
    """No inline code, no markup made from text, no address of another host."""
    looked = 0
    for path in FOLDER.iterdir():
        pattern = FORBIDDEN.get(path.suffix)
        if pattern:
            looked += 1
            found = re.search(pattern, path.read_text("utf-8"))
            assert found is None, f"{path.name}: {found}"
    assert looked > 10


def test_the_shell_says_that_it_gives_no_advice() -> None:
    """Lawyers and auditors read it on every page."""
    assert "no legal or audit advice" in (FOLDER / "index.html").read_text("utf-8")
