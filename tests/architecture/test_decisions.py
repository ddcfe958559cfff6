"""Decision pages have one form, and the index lists each of them."""

import re

from tests.support import ROOT

FOLDER = ROOT / "docs" / "explanation" / "decisions"
PARTS = ["Context", "Decision", "Consequences", "Alternatives"]


def test_every_decision_has_the_four_parts_on_one_page() -> None:
    pages = sorted(path for path in FOLDER.glob("*.md") if path.name != "index.md")
    assert pages
    for page in pages:
        text = page.read_text("utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS, page.name
        assert len(text.splitlines()) <= 60, page.name


def test_the_index_lists_every_decision_once() -> None:
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (FOLDER / "index.md").read_text("utf-8"))
    assert sorted(listed) == sorted(
        path.name for path in FOLDER.glob("*.md") if path.name != "index.md"
    )
