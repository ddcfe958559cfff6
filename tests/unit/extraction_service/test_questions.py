"""What is unsure is asked of a frontier model where that is worth its price, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.escalation.asking import LARGEST_WINDOW
from services.extraction.domain import FoundClause, Looked, Nearest, Searched
from services.extraction.questions import (
    AROUND,
    MOST,
    SENT,
    TOGETHER,
    WIDEST,
    Doubt,
    batches,
    doubts,
    for_people,
    worth_asking,
)
from services.extraction.watch.store import Watches
from shared.asking import ASSUMED, SILENT, read_askers
from shared.events import BlobRef, ClausesExtracted, DocumentDeleted, EscalationRequested
from shared.events.questions import Question
from shared.events.types import MOST_FURTHER
from shared.guarantee import Calibration, log_odds
from shared.policy import RiskRules
from shared.storage import MissingBlob
from shared.watch.evidence import STEPS
from shared.watch.local import Local
from tests.unit.extraction_service.house import PAGES, TEXT, House, reading

POLICY = """
[providers.stand-in]
protocol = "own"
model = "stand-in"
url = "http://127.0.0.1:1"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}

[tenants.default]
providers = ["stand-in"]
leaves = [{leaves}]
day_usd = "{day}"
month_usd = "10"
mistake_usd = "{mistake}"
"""


def policy(folder: Path, leaves: str = '"contract"', day: str = "1", mistake: str = "0.25") -> Path:
    """A policy file that lets a tenant ask."""
    path = folder / "policy.toml"
    path.write_text(POLICY.format(leaves=leaves, day=day, mistake=mistake), "utf-8")
    return path


def unsure(belief: float) -> bytes:
    """A calibration set that believes a confidence of 0.9 so much."""
    start = float(log_odds(belief) - log_odds(0.9))
    none, nobody = np.zeros(0), np.zeros(0, np.int64)
    labels = ("Governing Law", "Audit Rights", "Insurance")
    lines = np.array([[start, 1.0]] * len(labels))
    return Calibration(labels, 1, lines, nobody, nobody, none, none, nobody, none).to_bytes()


@pytest.fixture
def made() -> Iterator[list[House]]:
    """Houses, to be closed."""
    houses: list[House] = []
    yield houses
    for house in houses:
        house.close()


def read(folder: Path, made: list[House], belief: float = 0.6, /, **rules: str) -> House:
    """A house in which a document was read, by a specialist that believes its clauses so much."""
    house = House(folder, policy=policy(folder, **rules))
    made.append(house)
    house.specialists.specialist.guarantee = unsure(belief)
    house.say(house.ingested("doc_1"), house.read("doc_1"))
    return house


def test_what_is_unsure_is_asked_in_one_request(tmp_path: Path, made: list[House]) -> None:
    """Its route says so, and the request comes behind the clauses, with window and definition."""
    house = read(tmp_path, made)
    events = house.heard((ClausesExtracted, EscalationRequested))  # type: ignore[arg-type]
    assert [type(event) for event in events] == [ClausesExtracted, EscalationRequested]
    items = house.client.get("/v1/documents/doc_1/clauses").json()["items"]
    assert {item["category"]: item["route"] for item in items} == {
        "Governing Law": "escalate",
        "Audit Rights": "escalate",
    }
    request = events[1]
    asked = {request.result_id: request.question}
    asked |= {more.result_id: more.question for more in request.further}
    assert asked.keys() == {item["id"] for item in items}
    for item in items:
        question = Question.model_validate_json(
            house.service.blobs.get("default", asked[item["id"]])
        )
        assert (question.category, question.subject) == (item["category"], "clause")
        assert question.result == item["id"]
        assert (question.start, question.end) == (0, len(TEXT))
        assert question.definition not in ("", item["category"])
        assert [(c.start, c.end) for c in question.candidates] == [(item["start"], item["end"])]


def test_questions_go_with_their_document(tmp_path: Path, made: list[House]) -> None:
    """They name where its words stand, so a deletion removes their blobs."""
    house = read(tmp_path, made)
    (request,) = house.heard(EscalationRequested)
    house.say(DocumentDeleted(document_id="doc_1"))
    for ref in (request.question, *(more.question for more in request.further)):
        with pytest.raises(MissingBlob):
            house.service.blobs.get("default", ref)


@pytest.mark.parametrize(
    "rules",
    [{"leaves": ""}, {"leaves": '"report"'}, {"day": "0"}, {"mistake": "0"}, {"mistake": "0.01"}],
)
def test_nothing_is_asked_that_may_not_leave_or_is_not_worth_it(
    tmp_path: Path, made: list[House], rules: dict[str, str]
) -> None:
    """By kind, without a budget, or where the price is above what is gained: a person looks."""
    house = read(tmp_path, made, 0.6, **rules)
    assert house.heard(EscalationRequested) == []
    items = house.client.get("/v1/documents/doc_1/clauses").json()["items"]
    assert {item["route"] for item in items} == {"review"}


@pytest.mark.parametrize(
    ("leaves", "asked"),
    [
        ('"contract"', False),
        ('"contract", "report"', False),
        ('"contract", "report", "other"', True),
    ],
)
def test_of_what_may_be_a_letter_words_leave_only_where_those_of_letters_may(
    tmp_path: Path, made: list[House], leaves: str, asked: bool
) -> None:
    """The door refuses it by the same list. As soon as the kind is said, it is asked as before."""
    house = read(tmp_path, made, 0.6, leaves=leaves)
    assert len(house.heard(EscalationRequested)) == 1
    house.say(house.ingested("doc_2"), house.read("doc_2", kind_confidence=0.4, kind_unsure=True))
    requests = house.heard(EscalationRequested)
    items = house.client.get("/v1/documents/doc_2/clauses").json()["items"]
    assert {item["route"] for item in items} == {"escalate" if asked else "review"}
    assert bool(requests) is asked
    for request in requests:
        for ref in (request.question, *(more.question for more in request.further)):
            question = Question.model_validate_json(house.service.blobs.get("default", ref))
            assert (question.kind, question.may_be) == ("contract", ("report", "other"))
    house.say(house.read("doc_2", attempt=2))
    again = house.heard(EscalationRequested)[-1]
    question = Question.model_validate_json(house.service.blobs.get("default", again.question))
    assert (again.document_id, again.attempt, question.may_be) == ("doc_2", 2, ())


def test_a_trusted_model_is_not_asked_about_what_may_be_no_contract(
    tmp_path: Path, made: list[House]
) -> None:
    """Its answer might be taken without a person."""
    path = policy(tmp_path, leaves='"contract", "report", "other"')
    path.write_text(path.read_text("utf-8") + 'trust = "measured"\nmax_wrong = 0.05\n', "utf-8")
    house = House(tmp_path, policy=path)
    made.append(house)
    house.specialists.specialist.guarantee = unsure(0.6)
    house.say(house.ingested("doc_1"), house.read("doc_1", kind_confidence=0.4, kind_unsure=True))
    assert house.heard(EscalationRequested) == []
    house.say(house.read("doc_1", attempt=2))
    assert len(house.heard(EscalationRequested)) == 1


@pytest.mark.parametrize("belief", [0.97, 0.03])
def test_what_is_sure_or_hopeless_is_not_asked(
    tmp_path: Path, made: list[House], belief: float
) -> None:
    """No answer of a model that errs so often would change what is done with it."""
    assert read(tmp_path, made, belief).heard(EscalationRequested) == []


def test_a_gain_is_what_an_answer_changes() -> None:
    """By Bayes, once by hand: confirmed 0.6 becomes 0.846, denied 0.416."""
    belief, shown = np.array([0.6, 0.6]), np.array([True, False])
    yes = 0.6 * 0.603 + 0.4 * 0.164
    after = yes * (1 - 0.6 * 0.603 / yes) + (1 - yes) * (0.6 * 0.397 / (1 - yes))
    assert ASSUMED.gain(belief, shown) == pytest.approx([0.4 - after, 0.6 - after])


def clause(category: str, **changed: Any) -> FoundClause:
    """A clause that was found."""
    return replace(
        FoundClause("cl_1", "contract-clauses", category, "words", 10, 15, 1, 0.6), **changed
    )


def looked(*near: tuple[str, float], warnings: tuple[str, ...] = ()) -> Searched:
    """A search with what came nearest in some categories."""
    lines = tuple(Looked(name, p, Nearest("words", 10, 15, 1, p)) for name, p in near)
    return Searched(1_000, 1, (), lines, warnings)


def test_what_a_person_does_not_wait_for_is_not_doubtful() -> None:
    """Neither the accepted, nor what is drawn as a check, nor anything where text is strange."""
    found = [
        clause("Insurance"),
        clause("Audit Rights", route="accept"),
        clause("Parties", sampled=True),
    ]
    search = looked(("Insurance", 0.6), ("Parties", 0.6), ("Governing Law", 0.4))
    named = ("default", "doc_1", "contract-clauses")
    said = doubts(found, search, lambda _category, confidence: confidence / 2, named)
    assert [(one.category, one.subject, one.belief) for one in said] == [
        ("Insurance", "clause", 0.3),
        ("Governing Law", "category", 0.4),
    ]
    strange = replace(search, warnings=("it is in another language",))
    assert doubts(found, strange, lambda _c, p: p, named) == []


@pytest.mark.parametrize(
    ("trust", "asked"), [("person", {"Governing Law", "Audit Rights"}), ("measured", set())]
)
def test_a_trusted_model_is_not_asked_where_only_a_person_may_answer(
    tmp_path: Path, made: list[House], trust: str, asked: set[str]
) -> None:
    """About a category that checks speak against: its answer might be taken without one."""
    path = policy(tmp_path)
    path.write_text(path.read_text("utf-8") + f'trust = "{trust}"\nmax_wrong = 0.05\n', "utf-8")
    house = House(tmp_path, policy=path)
    made.append(house)
    house.specialists.specialist.guarantee = unsure(0.6)
    with house.service.store.write() as session:
        watches = Watches(session, "default")
        kept = watches.kept("contract-clauses", lock=True)
        watches.save(replace(kept, doubted=("Governing Law", "Audit Rights")))
    house.say(house.ingested("doc_1"), house.read("doc_1"))
    items = house.client.get("/v1/documents/doc_1/clauses").json()["items"]
    assert {item["category"] for item in items if item["route"] == "escalate"} == asked


def test_only_a_person_answers_for_what_is_stopped_or_was_recognised() -> None:
    """Nothing is accepted any more, checks speak against the category, or the page is a scan."""
    pages = reading(*PAGES)
    end = pages.pages[0].end
    scan = replace(pages, pages=(pages.pages[0], replace(pages.pages[1], method="tesseract")))
    doubt = Doubt("cl_1", "clause", "Insurance", end - 9, end - 1, 0.5, 0.5)
    assert not for_people(doubt, scan, Local(step=STEPS - 1, doubted=frozenset({"Parties"})), 0.4)
    assert for_people(doubt, scan, Local(step=STEPS), 0.4)
    assert for_people(doubt, scan, Local(doubted=frozenset({"Insurance"})), 0.4)
    assert for_people(replace(doubt, end=end + 1), scan, Local(), 0.4)


@pytest.mark.parametrize(
    ("trust", "asked"), [("person", {"Governing Law", "Audit Rights"}), ("measured", set())]
)
def test_a_trusted_model_is_not_asked_about_what_is_shown_lest_it_be_missed(
    tmp_path: Path, made: list[House], trust: str, asked: set[str]
) -> None:
    """What is usually not shown needs a person: decisions about the model were on other clauses."""
    path = policy(tmp_path)
    path.write_text(
        path.read_text("utf-8") + f'trust = "{trust}"\nmax_wrong = 0.05\nmax_missed = 0.1\n',
        "utf-8",
    )
    house = House(tmp_path, policy=path)
    made.append(house)
    expert = house.specialists.specialist
    expert.guarantee = unsure(0.6)
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.95})
    house.say(house.ingested("doc_1"), house.read("doc_1"))
    items = house.client.get("/v1/documents/doc_1/clauses").json()["items"]
    assert {"Governing Law", "Audit Rights"} < {item["category"] for item in items}
    assert {item["category"] for item in items if item["route"] == "escalate"} == asked


def test_the_worthiest_come_first_and_weights_count(tmp_path: Path) -> None:
    """A category in which a mistake costs more is asked about at a lower gain."""
    asks = read_askers(policy(tmp_path, mistake="0.018")).of("default")
    many = [
        Doubt(f"cl_{n}", "clause", "Insurance", 100 * n, 100 * n + 50, 0.5, 0.35 + n / 400)
        for n in range(100)
    ]
    plain = worth_asking(many, asks, RiskRules(), 50_000)
    weighed = worth_asking(many, asks, RiskRules(weights={"Insurance": 9.0}), 50_000)
    assert len(plain) < len(weighed) == MOST
    gains = ASSUMED.gain(
        np.array([one.belief for one in weighed]), np.ones(len(weighed), bool)
    ).tolist()
    assert gains == sorted(gains, reverse=True)
    assert all(one.usd > 0 for one in weighed)
    assert worth_asking(many, SILENT, RiskRules(), 50_000) == []


def test_windows_have_their_passages_and_prompts_are_bounded() -> None:
    """Near passages share a window; nothing is asked twice or left out."""
    chance = np.random.default_rng(4)
    text = " ".join("words" for _ in range(40_000))
    starts = sorted(6 * int(n) for n in chance.integers(0, 39_000, 30))
    names = ("Insurance", "Audit Rights", "Governing Law")
    asked = [
        Doubt(f"cl_{n}", "clause", names[n % 3], start, start + 605, 0.5, 0.5)
        for n, start in enumerate(starts)
    ]
    found = list(batches(asked, text, BlobRef(sha256="0" * 64, size=1), []))
    ids = [one.result_id for batch in found for one in batch]
    assert sorted(ids) == sorted(one.result_id for one in asked)
    assert len(found) < len(asked) / 3
    for batch in found:
        windows = {(one.question.start, one.question.end) for one in batch}
        assert sum(end - start for start, end in windows) <= SENT
        same = {(one.question.start, one.question.category) for one in batch}
        assert 1 <= len(same) <= TOGETHER
        for one in batch:
            question = one.question
            (candidate,) = question.candidates
            assert question.start <= candidate.start < candidate.end <= question.end
            assert question.end - question.start <= WIDEST
            assert question.start == 0 or candidate.start - question.start > AROUND - 10
            assert question.end == len(text) or question.end - candidate.end > AROUND - 10


def test_a_window_that_is_in_a_prompt_takes_no_more_room_in_it() -> None:
    """Of two windows that fill most of a prompt, the second has seven questions, two of them the
    same: they stay together.
    """
    text = "w " * 2 * SENT
    names = sorted(("Insurance", "Audit Rights", "Governing Law", "Parties", "Exclusivity"))
    first = Doubt("cl_0", "clause", "Insurance", 2_000, 14_000, 0.5, 0.5)
    others = [
        Doubt(f"cl_{n}", "clause", name, 30_000 + 10 * n, 30_900 + 10 * n, 0.5, 0.5)
        for n, name in enumerate([*names, names[0], names[-1]], 1)
    ]
    (batch,) = batches([first, *others], text, BlobRef(sha256="0" * 64, size=1), [])
    assert len(batch) == 8
    assert len({(one.question.start, one.question.end) for one in batch}) == 2
    many = [
        Doubt(f"cl_{n}", "clause", "Insurance", 30_000 + n, 30_900 + n, 0.5, 0.5) for n in range(25)
    ]
    assert [len(one) for one in batches(many, text, BlobRef(sha256="0" * 64, size=1), [])] == [
        1 + MOST_FURTHER,
        5,
    ], "more than an event may have"


@pytest.mark.parametrize(
    ("length", "around"), [(50, AROUND), (SENT - 600, 300), (SENT - 2, 0), (SENT, 0)]
)
def test_a_long_passage_is_sent_with_what_there_is_room_for(length: int, around: int) -> None:
    """Never more than the door takes."""
    text = "w " * 2 * SENT
    doubt = Doubt("cl_1", "clause", "Insurance", SENT, SENT + length, 0.5, 0.5)
    ((asked,),) = batches([doubt], text, BlobRef(sha256="0" * 64, size=1), [])
    start, end = asked.question.start, asked.question.end
    assert [SENT - start, end - SENT - length] == pytest.approx([around, around], abs=1)
    assert end - start <= SENT == LARGEST_WINDOW
