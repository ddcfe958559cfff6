"""Each role opens each page and sees the controls of docs/reference/roles.md, without a refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from shared.web.scopes import ROLES
from tests.support import ROOT
from tests.system.pages.review_stage import CONTRACT, STATEMENT, Stage, new_stage, pdf_of
from tests.system.pages.test_people_page import PASSWORD
from tests.system.pages.test_review_pages import Watched, browser, until_given_back  # noqa: F401

DOCS = ROOT / "docs/reference/roles.md"
SPECIALIST = "contract-clauses"
HIDDEN = [("Audit Rights", "inspect the", 0.9871), ("Insurance", "product liability", 0.9763)]
"""Clauses that people check without knowing that they would have been accepted."""
CONTROLS = """() => {
  const view = document.getElementById("view");
  for (const one of view.querySelectorAll("details")) one.open = true;
  view.querySelector("th.choose input")?.click();
  const left = (one) => one.ariaHidden || one.matches?.("kbd, .count, .figure");
  const text = (one) => [...one.childNodes].filter((part) => !left(part))
    .map((part) => part.textContent).join("").trim();
  const label = (one) => one.labels?.[0]?.querySelector("span") ?? one.labels?.[0] ?? one;
  return [...view.querySelectorAll("button, a[href], input, select, textarea, summary")]
    .filter((one) => one.checkVisibility())
    .map((one) => [one.matches(".entry, .result") ? "result" : one.getAttribute("href") ?? "",
      one.ariaLabel ?? text(label(one))]);
}"""
"""The controls of a page as [address, name]. All lists are open, and all rows are selected."""
MENU = {"/", "/documents", "/decisions", "/insights", "/people"}
LINKS = {
    "result": "*result*",
    "/review?item=": "*item*",
    "/documents/": "*document*",
    "/people?tab=webhooks&webhook=": "*webhook*",
}
"""Kinds of links by the start of their address."""
NAMES = (  # for controls that are named after their row
    (r"Select (?!all).*", "Select a row"),
    (r"Actions for .*", "Actions"),
    (r"Received ?↓", "Received"),
    (r"\d+%", "Fit the width"),
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("data")
    with new_stage(folder, ingest_webhook_networks="127.0.0.0/8") as stage:
        stage.contract = stage.upload("Northwind – Halden.pdf", pdf_of(CONTRACT))
        stage.extract(stage.contract, adapter=SPECIALIST, accepted=0.9)
        stage.decide_some(stage.upload("Halden – Ostwald.pdf", pdf_of(CONTRACT[1:])))
        checked = stage.upload("Halden – Lier.pdf", pdf_of(CONTRACT[:2]))
        stage.extract(checked, HIDDEN, SPECIALIST, sampled=True)
        stage.report = stage.upload("q4.json", json.dumps(STATEMENT).encode(), "report")
        stage.find(stage.report)
        for role in (*ROLES, "invited"):
            wish = {"name": role, "email": f"{role}@example.com", "role": role}
            wish["role"] = role if role in ROLES else "viewer"
            made = stage.http.post("/v1/users", json=wish).raise_for_status().json()
            stage.keys[role] = made["invitation"]
        yield stage


@pytest.fixture(scope="module")
def webhook(stage: Stage) -> str:
    """A webhook with a message."""
    made = stage.http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9009/hook"})
    name = str(made.raise_for_status().json()["id"])
    stage.http.post(f"/v1/webhooks/{name}/test").raise_for_status()
    return name


@pytest.fixture(scope="module")
def pages(stage: Stage, webhook: str) -> dict[str, str]:
    return {
        "Queue": "/",
        "Review": f"/review?document={stage.contract}",
        "Documents": "/documents",
        "Contract": f"/documents/{stage.contract}",
        "Report": f"/documents/{stage.report}",
        "Reports by risk": "/reports",
        "Decisions": "/decisions",
        "Search": "/search?q=agreement",
        "Insights": "/insights",
        "Insights, decisions": "/insights?tab=decisions",
        "Insights, error rate": "/insights?tab=error-rate",
        "Insights, costs": "/insights?tab=costs",
        "People, users": "/people",
        "People, keys": "/people?tab=keys",
        "People, sessions": "/people?tab=sessions",
        "People, webhooks": "/people?tab=webhooks",
        "People, one webhook": f"/people?tab=webhooks&webhook={webhook}",
    }


def test_each_role_sees_the_controls_that_it_may_use(
    browser: Any,  # noqa: F811
    stage: Stage,
    pages: dict[str, str],
) -> None:
    shown: dict[tuple[str, str], list[str]] = {}
    seen = set[tuple[str, str]]()
    for role in ROLES:
        person = signed_in(browser, stage, role)
        for name, address in pages.items():
            for control in controls(person, stage.address, address):
                seen.add((name, role))
                shown.setdefault((name, control), []).append(role)
        opened = {address for name, address in pages.items() if (name, role) in seen}
        links = person.page.locator("#nav a").all()
        assert {link.get_attribute("href") for link in links} == opened & MENU
        person.close()  # no request was refused
        until_given_back(stage)
    table = rendered(shown, list(pages))
    assert table in DOCS.read_text("utf-8"), f"{DOCS.name} needs this table:\n\n{table}"


def signed_in(browser: Any, stage: Stage, role: str) -> Watched:  # noqa: F811
    """The user of a role in a browser. They choose a password if they have none."""
    email = f"{role}@example.com"
    signed = httpx.post(f"{stage.address}/v1/sign-in", json={"email": email, "password": PASSWORD})
    if signed.is_error:
        answer = {"invitation": stage.keys[role], "password": PASSWORD}
        signed = httpx.post(f"{stage.address}/v1/sign-in/invitation", json=answer)
    cookies = signed.raise_for_status().cookies.items()
    person = Watched(browser, stage, viewport={"width": 1440, "height": 900})
    person.context.add_cookies(
        [{"name": name, "value": value, "url": stage.address} for name, value in cookies]
    )
    return person


def controls(person: Watched, origin: str, address: str) -> list[str]:
    """The names of the controls of a page, each once; none if the role can't open it."""
    page = person.page
    page.goto(origin + address)
    page.locator("#view h1").first.wait_for()
    page.wait_for_load_state("networkidle")
    refused = page.get_by_role("heading", name="You can't open this page").count()
    if refused or urlsplit(page.url).path != urlsplit(address).path:
        return []
    found = []
    for target, name in page.evaluate(CONTROLS):
        general = [kind for prefix, kind in LINKS.items() if target.startswith(prefix)]
        for pattern, instead in NAMES:
            name = re.sub(f"^{pattern}$", instead, name)
        found.append(general[0] if general else name)
    return list(dict.fromkeys(found))


def rendered(shown: dict[tuple[str, str], list[str]], order: list[str]) -> str:
    """A table with a row for the controls of a page that the same roles see."""
    rows: dict[tuple[str, frozenset[str]], list[str]] = {}
    for (page, control), seers in shown.items():
        rows.setdefault((page, frozenset(seers)), []).append(control)
    lines = [f"| page | controls | {' | '.join(ROLES)} |", f"| --- | --- {'| --- ' * len(ROLES)}|"]
    places = {page: at for at, page in enumerate(order)}
    for page, roles in sorted(rows, key=lambda one: (places[one[0]], -len(one[1]), sorted(one[1]))):
        marks = " | ".join("yes" if role in roles else "no" for role in ROLES)
        names = ", ".join(sorted(rows[page, roles], key=str.casefold))
        lines.append(f"| {page} | {names} | {marks} |")
    return "\n".join(lines) + "\n"


def test_a_curious_analyst_finds_no_hidden_check_in_any_answer(
    browser: Any,  # noqa: F811
    stage: Stage,
    pages: dict[str, str],
) -> None:
    answer = stage.http.get("/v1/items", params={"state": "all", "limit": 200})
    items = answer.json()["items"]
    accepted = [one["result_id"] for one in items if one["route"] == "accept"]
    assert len(accepted) == 3
    others = [one["id"] for one in items if one["route"] != "accept"]
    telling = ['"route":"accept"', '"sampled"', '"weight"', *accepted]
    telling += [str(confidence) for _, _, confidence in HIDDEN]
    assert telling[0] in answer.text
    curious = signed_in(browser, stage, "analyst")
    answers: list[Any] = []

    def record(answer: Any) -> None:
        if "/v1/" in answer.url and "json" in answer.headers.get("content-type", ""):
            answers.append(answer)

    curious.page.on("response", record)
    texts: dict[str, str] = {}
    for address in (*pages.values(), *(f"/review?item={one}" for one in others)):
        controls(curious, stage.address, address)
        for one in answers:
            texts[one.url] = texts.get(one.url, "") + one.text()
        answers.clear()
    assert len(texts) > 20
    assert [(where, one) for where, text in texts.items() for one in telling if one in text] == []
    curious.close()
    until_given_back(stage)
