"""The cascade over HTTP: a real suite in one process asks a stand-in in another."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.escalation.gateway import DECIDED
from tests.fakes.provider import Fault, Labels, StandIn
from tests.fakes.provider.protocols import ModelRequest
from tests.integration.test_road import Suite, _until
from tests.support.embedded import Embedded
from tests.support.samples import contract

KEY = "no-key-that-a-provider-knows"
POLICY = """
# STAND-IN FRONTIER: no model answers here.
[providers.stand-in]
protocol = "anthropic"
model = "stand-in"
url = "{url}"
key_env = "CASCADE_TEST_KEY"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}
seconds = 120

[tenants.default]
providers = ["stand-in"]
external_kinds = ["contract"]
day_usd = "20"
month_usd = "50"
mistake_usd = "100"
mask = ["parties"]
"""


def answer_present(request: ModelRequest, _fault: Fault) -> str:
    asked = json.loads(request.turns[0])
    if "questions" not in asked:
        return json.dumps({"verdict": "present", "quotes": asked["candidates"], "why": "so"})
    answers = [
        {"number": one["number"], "verdict": "present", "quotes": one["candidates"], "why": "so"}
        for one in asked["questions"]
    ]
    return json.dumps({"answers": answers})


UNSURE = """\
6. Liability. Except for breach of confidence, neither party is liable for more than the fees
that were paid in the year before.
7. Licence. Northwind grants Client a licence to use the recipes, which Client may not pass on.
8. Exclusivity. During the term Client buys its flour from Northwind so far as it needs any.
9. Renewal. This Agreement goes on for further years unless a party says otherwise in time.
10. End. Client may end this Agreement at any time with sixty days' notice.
11. Change. If Northwind is sold, Client may look for another mill.
12. Money back. If the flour comes late, Northwind gives back a part of what was paid for it.
13. Others. Persons who buy the bread may not claim anything from Northwind.
14. Papers. On request each side shows the other what it has written down about deliveries.
15. Names. Client may print the name of Northwind on its bags as long as it likes.
16. People. For a year nobody hires those who work for the other.
17. Price. No other bakery pays less than Client for the same flour.
18. Least. Client takes two hundred bags a month, or pays for them all the same.
19. Damage. For each day of delay Northwind owes a hundred dollars.
20. Recipes. What Northwind writes for Client belongs to Client.
21. Good flour. Northwind stands for its flour for half a year.
22. After. When it is over, Northwind goes on to deliver what was ordered.
23. Rivals. Northwind opens no bakery in the county.
24. Shares. Of what the bread earns Northwind gets a tenth.
"""
"""Clauses in words that lawyers would not choose, so that the specialist is unsure of some."""


def unsure(number: int) -> bytes:
    return contract(number) + UNSURE.encode()


class Cascade:
    def __init__(self, folder: Path, stand_in: StandIn, rules: str, **settings: str) -> None:
        self.stand_in = stand_in
        policy = folder / "policy.toml"
        policy.write_text(rules)
        os.environ["CASCADE_TEST_KEY"] = KEY
        own = {"SMALLPRINT_POLICY": str(policy), "SMALLPRINT_RETRY_DELAY": "0.2"}
        self.process = Embedded(folder, **own, **settings)
        line = self.process.start()
        self.suite = Suite(self.process.url, line["key"])

    def read(self, number: int) -> tuple[str, dict[str, Any]]:
        """Upload a contract and wait for its end; its clauses by id."""
        document = self.suite.upload(f"services-{number}.txt", unsure(number), "contract")
        ended = self.suite.ended(document)
        assert (ended["outcome"], ended["reasons"]) == ("complete", [])
        found = self.suite.get(f"/v1/documents/{document}/clauses").json()["items"]
        return document, {clause["id"]: clause for clause in found}

    def items(self, document: str) -> Any:
        """The items of a document."""
        return self.suite.get(f"/v1/items?document={document}&state=all").json()["items"]

    def close(self) -> None:
        self.suite.close()
        assert self.process.end() == 0, self.process.tail()


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cascade]:
    with StandIn(Labels([]), speak=answer_present) as stand_in:
        rules = POLICY.format(url=stand_in.url)
        made = Cascade(tmp_path_factory.mktemp("cascade"), stand_in, rules)
        yield made
        made.close()


@pytest.mark.slow
def test_what_is_unsure_is_asked_and_comes_back_as_a_proposal(cascade: Cascade) -> None:
    document, clauses = cascade.read(1)
    asked = {name for name, clause in clauses.items() if clause["route"] == "escalate"}
    _until(
        lambda: cascade.items(document),
        lambda found: len(found) >= len(clauses) and all(i["state"] == "waiting" for i in found),
    )
    items = {item["result_id"]: item for item in cascade.items(document)}
    beside = {name for name, item in items.items() if item["proposal"]}
    assert asked, "the specialist is sure of all of it: add words that it is unsure of"
    assert beside >= asked
    text = unsure(1).decode()
    for name in beside:
        proposal = items[name]["proposal"]
        assert proposal["stand_in"] is True
        for quote in proposal["quotes"]:
            assert text[quote["start"] : quote["end"]] == quote["text"]
    assert "stand-in" in json.dumps(cascade.suite.get("/v1/costs").json())


def test_a_document_of_another_kind_is_not_asked_about_any_more(cascade: Cascade) -> None:
    cascade.stand_in.choose = lambda _request: "busy"
    document, _ = cascade.read(2)
    _until(lambda: len(cascade.stand_in.requests), lambda count: count > 0)
    cascade.suite.put(f"/v1/documents/{document}/kind", json={"kind": "other"}).raise_for_status()
    _until(lambda: cascade.items(document), lambda found: not found)
    listed = _until(
        lambda: [
            one
            for one in cascade.suite.get("/v1/escalations").json()["items"]
            if one["document_id"] == document
        ],
        lambda found: all("the answer is not needed any more" in one["reason"] for one in found),
    )
    assert listed
    cascade.stand_in.choose = lambda _request: "none"
    cascade.stand_in.requests.clear()
    document, _ = cascade.read(3)
    _until(
        lambda: cascade.items(document),
        lambda found: found and all(item["state"] == "waiting" for item in found),
    )
    assert all(
        "AGREEMENT No. 2" not in turn
        for request in cascade.stand_in.requests
        for turn in request.turns
    )


def test_what_a_person_decides_in_the_meantime_is_not_paid_for(cascade: Cascade) -> None:
    """A person decides an item while the provider is busy. Later only the other questions of the
    prompt are asked.
    """
    stand_in, suite = cascade.stand_in, cascade.suite
    stand_in.requests.clear()
    stand_in.choose = lambda _request: "busy"
    try:
        document, clauses = cascade.read(4)
        _until(lambda: len(stand_in.requests), lambda count: count > 0)
        asked = [name for name, clause in clauses.items() if clause["route"] == "escalate"]
        taken = next(one for one in cascade.items(document) if one["result_id"] in asked)
        claimed = suite.post("/v1/items/claim", json={"item": taken["id"]})
        assert claimed.status_code == 200, claimed.text
        wish = {"item": taken["id"], "verdict": "accept"}
        assert suite.post("/v1/decisions", json=wish).status_code == 201
        _until(lambda: heard(cascade), lambda known: taken["result_id"] in known)
        stand_in.requests.clear()
    finally:
        stand_in.choose = lambda _request: "none"
    listed = _until(
        lambda: [
            one
            for one in suite.get("/v1/escalations").json()["items"]
            if one["result_id"] == taken["result_id"]
        ],
        lambda found: found and "in progress" not in found[0]["reason"],
    )
    assert listed[0]["reason"] == DECIDED
    _until(lambda: len(stand_in.requests), lambda count: count > 0)
    category = clauses[taken["result_id"]]["category"]
    shown = [clauses[name]["category"] for name in asked]
    assert shown.count(category) == 1
    assert all(
        category != one["category"] for request in stand_in.requests for one in questions(request)
    )
    (item,) = [one for one in cascade.items(document) if one["id"] == taken["id"]]
    assert item["state"] == "decided"


def questions(request: ModelRequest) -> Any:
    asked = json.loads(request.turns[0])
    return asked.get("questions", [asked])


def heard(cascade: Cascade) -> set[str]:
    """The results of which escalation knows that a person decided."""
    with closing(sqlite3.connect(cascade.process.data / "escalation.db")) as database:
        return {name for (name,) in database.execute("SELECT result_id FROM decided")}
