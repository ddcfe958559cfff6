"""A private letter with a draft agreement behind it: of what kind it is, is not sure, so nothing of
it leaves the house or is accepted before a person has said it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fakes.provider import Labels, StandIn
from tests.integration.test_cascade import UNSURE
from tests.integration.test_road import Suite, _until
from tests.support.embedded import Embedded
from tests.support.samples import contract

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
leaves = ["contract"]
day_usd = "5"
month_usd = "50"
mistake_usd = "100"
max_wrong = 0.1
sample_share = 0.0
"""
LETTER = """Dear Eleanor,

I was so glad to have your card, and sorry to be slow in writing back. The winter has been hard on
Peter. His cough did not go away by Christmas, and the specialist in town thinks that it is the
lungs again; they have kept him for a week, and he comes home tired and cross. He sends you his
love all the same. Anna sleeps badly since the divorce and sees a doctor about her nerves. Please
keep that to yourself, for she has told nobody at the school.

The roof leaks over the back bedroom, the cat has gone, and the garden is under snow. On Sundays I
walk to the river and think of the summer when we were all at the lake, and you fell in with your
hat on. Do come in May if you can. The small room is yours for as long as you like it.

Peter wants to put his savings into a bakery, of all things, with a man whom he met at the clinic. I
have copied out below what they mean to sign, for you were always the clever one with papers. Tell
me honestly what you think of it, and do not spare me.

With all my love, and a kiss for the little ones,
your sister Ruth

"""


@pytest.mark.slow
def test_a_letter_stays_in_the_house_until_a_person_says_what_it_is(tmp_path: Path) -> None:
    with StandIn(Labels([])) as stand_in:
        policy = tmp_path / "policy.toml"
        policy.write_text(POLICY.format(url=stand_in.url))
        os.environ["CASCADE_TEST_KEY"] = "no-key-that-a-provider-knows"
        settings = {"SMALLPRINT_POLICY": str(policy), "SMALLPRINT_RETRY_DELAY": "0.2"}
        process = Embedded(tmp_path, **settings)
        suite = Suite(process.url, process.start()["key"])
        document = suite.upload("letter.txt", LETTER.encode() + contract(1) + UNSURE.encode())
        ended = suite.ended(document)
        assert (ended["kind"], ended["kind_unsure"], ended["attempt"]) == ("contract", True, 1)
        path = f"/v1/documents/{document}/clauses"
        found = suite.get(path).json()
        assert len(found["items"]) >= 10
        assert {clause["route"] for clause in found["items"]} == {"review"}
        (risk,) = found["risks"]
        assert "the kind of the document is not confirmed" in risk["why_not"]
        items = suite.items(document, len(found["items"]) + 1)
        assert {item["state"] for item in items} == {"waiting"}
        assert suite.get("/v1/escalations").json()["items"] == []
        assert stand_in.said == []

        (asked,) = [item for item in items if item["category"] == "document_kind"]
        suite.post("/v1/items/claim", json={"item": asked["id"]}).raise_for_status()
        wish = {"item": asked["id"], "verdict": "accept"}
        suite.post("/v1/decisions", json=wish).raise_for_status()
        again = _until(
            lambda: suite.get(f"/v1/documents/{document}").json(),
            lambda one: one["attempt"] == 2 and one["state"] == "ended",
        )
        assert (again["kind"], again["kind_unsure"]) == ("contract", False)
        found = suite.get(path).json()
        assert "accept" in {clause["route"] for clause in found["items"]}
        assert found["risks"][0]["why_not"] == ""
        assert _until(lambda: stand_in.said, bool)
        suite.close()
        assert process.end() == 0, process.tail()
