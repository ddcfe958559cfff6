"""The pages below docs/ say what the code says: settings, commands, routes, codes, figures."""

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from infra.docs import clause_types, command_line, http_routes
from infra.docs import settings as settings_page
from services.escalation.policy.policy import _Provider, _Tenant
from services.review.exports import COLUMNS
from shared.events.types import TYPES
from shared.policy.rules import FindingRules
from tests.support import ROOT

DOCS = ROOT / "docs"
PAGES = [
    page for part in ("how-to", "reference", "explanation") for page in (DOCS / part).glob("*.md")
]


@pytest.mark.parametrize("page", [settings_page, command_line, http_routes, clause_types])
def test_generated_pages_are_fresh(page: ModuleType) -> None:
    assert page.FILE.read_text("utf-8") == page.rendered(), "stale: run `make schemas`"


def test_reference_pages_are_complete() -> None:
    policy_keys = {*_Tenant.model_fields, *_Provider.model_fields, *FindingRules.model_fields}
    for name, wanted in {
        "errors": _error_codes(),
        "events": set(TYPES),
        "export-columns": set(COLUMNS["all"]),
        "policy-file": policy_keys - {"batch"},
    }.items():
        text = (DOCS / f"reference/{name}.md").read_text("utf-8")
        assert not wanted - set(re.findall(r"`([^`\n]+)`", text)), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_routes_that_exist(page: Path) -> None:
    routes = re.findall(r"/v1/[a-zA-Z{}_./-]*[a-zA-Z}]", page.read_text("utf-8"))
    assert not {_shape(route) for route in routes} - _served()


def test_figures_of_accuracy_are_in_the_cards() -> None:
    cards = "\n".join(card.read_text("utf-8") for card in (ROOT / "models").rglob("*.md"))
    figures = re.findall(r"\d+\.\d+%?", (DOCS / "explanation/accuracy.md").read_text("utf-8"))
    assert len(figures) > 20
    assert not [figure for figure in figures if figure not in cards]


def _error_codes() -> set[str]:
    """Codes of all classes of errors, except the one of the root."""
    files = [file for part in ("services", "shared") for file in (ROOT / part).rglob("*.py")]
    found = (
        re.findall(r'^    code(?:: .*)? = "([a-z_]+)"$', f.read_text("utf-8"), re.M) for f in files
    )
    return {code for codes in found for code in codes} - {"error"}


def _served() -> set[str]:
    files = ROOT.glob("services/*/openapi.json")
    return {_shape(path) for file in files for path in json.loads(file.read_text("utf-8"))["paths"]}


def _shape(route: str) -> str:
    """A route with ID for each of its parameters."""
    return re.sub(r"\{.*?\}|\b(NUMBER|DELIVERY|COMMENT)\b", "ID", route)
