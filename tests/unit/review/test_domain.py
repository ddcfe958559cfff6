"""The state machine of an item, in any order of steps, and corrections."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.review.domain import (
    Correction,
    Document,
    Item,
    NotYours,
    PageSize,
    Tab,
    corrected,
    new_id,
)
from services.review.error_rates import was_wrong
from services.review.results import (
    BadResults,
    ClauseItem,
    Finding,
    Result,
    items_of_clauses,
    read_results,
)
from shared.errors import Conflict, InvalidRequest
from shared.events import Verdict

START = datetime(2025, 1, 31, 9, tzinfo=UTC)
LEASE = 300.0
ACTORS = st.sampled_from(["ada", "ben", "cem"])
TABS = st.sampled_from([None, *(Tab(id=f"tab_{n:032x}", generation=n) for n in (1, 2))])
TEXT = "This Agreement 🖋 is governed by the laws of Bavaria. It renews each year."


def an_item(**changes: object) -> Item:
    quote = "the laws of Bavaria"
    values: dict[str, object] = {
        "id": new_id("it"),
        "tenant": "default",
        "document_id": "doc_1",
        "attempt": 1,
        "kind": "clause",
        "stage": "extraction",
        "result_id": "cl_1",
        "category": "Governing Law",
        "confidence": 0.5,
        "created": START,
        "text": quote,
        "start": TEXT.index(quote),
        "end": TEXT.index(quote) + len(quote),
    }
    return Item(**{**values, **changes})  # type: ignore[arg-type]


class ItemMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.item, self.now = an_item(), START
        self.holder: str | None = None
        self.until = START
        self.tab: Tab | None = None
        self.decided_by: str | None = None
        self.decisions = 0

    def held_by(self) -> str | None:
        return self.holder if self.until > self.now else None

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(actor=ACTORS, tab=TABS)
    def claim(self, actor: str, tab: Tab | None) -> None:
        allowed = self.decided_by is None and self.held_by() in (None, actor)
        if not allowed:
            with pytest.raises(Conflict):
                self.item.claim(actor, self.now, LEASE, tab)
            return
        self.item = self.item.claim(actor, self.now, LEASE, tab)
        self.holder, self.tab = actor, tab
        self.until = self.now + timedelta(seconds=LEASE)

    @rule(actor=ACTORS)
    def keep(self, actor: str) -> None:
        if self.decided_by or self.held_by() != actor:
            with pytest.raises(Conflict):
                self.item.renew(actor, self.now, LEASE)
            return
        self.item = self.item.renew(actor, self.now, LEASE)
        self.until = self.now + timedelta(seconds=LEASE)

    @rule(actor=ACTORS, stale=st.booleans())
    def release(self, actor: str, stale: bool) -> None:
        number = self.item.claims - 1 if stale else self.item.claims
        self.item = self.item.release(actor, self.now, number)
        if self.held_by() == actor and not stale:
            self.holder = self.tab = None

    @rule(actor=ACTORS, verdict=st.sampled_from(["accept", "reject", "correct"]))
    def decide(self, actor: str, verdict: Verdict) -> None:
        if self.decided_by or self.held_by() != actor:
            with pytest.raises(Conflict):
                self.item.decide(actor, self.now, verdict, new_id("de"))
            return
        self.item = self.item.decide(actor, self.now, verdict, new_id("de"))
        self.decided_by, self.holder, self.tab = actor, None, None
        self.decisions += 1

    @rule(actor=ACTORS, tab=TABS)
    def undo(self, actor: str, tab: Tab | None) -> None:
        if self.decided_by != actor:
            with pytest.raises(Conflict if self.decided_by is None else NotYours):
                self.item.undo(actor, self.now, LEASE, tab)
            return
        self.item = self.item.undo(actor, self.now, LEASE, tab)
        self.decided_by, self.holder, self.tab = None, actor, tab
        self.until = self.now + timedelta(seconds=LEASE)

    @invariant()
    def agrees_with_the_model(self) -> None:
        expected = (self.tab.id, self.tab.generation) if self.tab else (None, None)
        assert (self.item.tab, self.item.generation) == expected
        if self.decided_by is not None:
            assert self.item.state(self.now) == "decided"
            assert self.item.lease(self.now) is None
            assert self.item.decided_by == self.decided_by
            return
        lease = self.item.lease(self.now)
        assert (lease.holder if lease else None) == self.held_by()
        assert self.item.state(self.now) == ("claimed" if self.held_by() else "waiting")
        assert self.item.decision_id is None


TestItemMachine = ItemMachine.TestCase
TestItemMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@settings(deadline=None)
@given(st.integers(-3, len(TEXT) + 3), st.integers(-3, len(TEXT) + 3))
def test_a_corrected_span_is_always_a_slice_of_the_text(start: int, end: int) -> None:
    item = an_item()
    is_span = 0 <= start < end <= len(TEXT) and bool(TEXT[start:end].strip())
    if not is_span or (start, end) == (item.start, item.end):
        with pytest.raises((InvalidRequest, ValueError)):
            corrected(item, Correction(start=start, end=end), TEXT)
        return
    right = corrected(item, Correction(start=start, end=end), TEXT)
    assert right["text"] == TEXT[start:end]
    assert right["category"] == "Governing Law"


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        Correction(),
        Correction(category="Governing Law"),
        Correction(category="Invented Category"),
        Correction(start=2, end=6, text="not what stands there"),
    ],
)
def test_an_invalid_correction_is_refused(wanted: Correction | None) -> None:
    with pytest.raises(InvalidRequest):
        corrected(an_item(), wanted, TEXT)


def with_value(kind: str, value: str | None, currency: str | None = None) -> Item:
    return an_item(value={"kind": kind, "status": "stated", "value": value, "currency": currency})


@pytest.mark.parametrize(
    ("kind", "value", "currency"),
    [
        ("date", "2017-05-31", None),
        ("date", "2017", None),
        ("duration", "P1Y6M", None),
        ("duration", "perpetual", None),
        ("duration", "2017-05", None),
        ("amount", "400000.50", "USD"),
        ("amount", "7", None),
        ("jurisdiction", "Bavaria", None),
    ],
)
def test_a_value_can_be_corrected_alone(kind: str, value: str, currency: str | None) -> None:
    item = with_value(kind, "other")
    right = corrected(item, Correction(value=value, currency=currency), None)
    assert (right["value"], right["currency"]) == (value, currency)
    assert (right["category"], right["text"]) == (item.category, item.text)
    assert was_wrong(item, "correct", right) is False


@pytest.mark.parametrize(
    ("kind", "wanted", "why"),
    [
        ("date", Correction(value="31 May 2017"), "must be a date"),
        ("date", Correction(value="2017-13"), "must be a date"),
        ("date", Correction(value="2020-02-31"), "has no day 2020-02-31"),
        ("duration", Correction(value="P"), "must be a date"),
        ("amount", Correction(value="400,000"), "must be a decimal number"),
        ("amount", Correction(currency="USD"), "must be a decimal number"),
        ("date", Correction(value="2017", currency="USD"), "Only an amount"),
        ("title", Correction(value="Lease", category="Parties"), "not both"),
        ("title", Correction(value="Supply Agreement"), "changes nothing"),
    ],
)
def test_a_wrong_form_of_a_value_is_refused(kind: str, wanted: Correction, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        corrected(with_value(kind, "Supply Agreement"), wanted, TEXT)


@pytest.mark.parametrize("value", ["P6M", "perpetual", "2017-13"])
def test_an_effective_date_is_a_day(value: str) -> None:
    read = {"kind": "date", "status": "stated", "value": "2017-05-31", "currency": None}
    item = an_item(category="Effective Date", value=read)
    assert corrected(item, Correction(value="2017-06"), None)["value"] == "2017-06"
    with pytest.raises(InvalidRequest, match="must be a date such as 2005-03-31, not"):
        corrected(item, Correction(value=value), None)


def test_a_clause_without_values_has_none_to_correct() -> None:
    with pytest.raises(InvalidRequest, match="'Governing Law' has no value"):
        corrected(an_item(), Correction(value="Bavaria"), TEXT)


def test_a_category_can_be_corrected_without_the_text() -> None:
    right = corrected(an_item(), Correction(category="Parties"), None)
    assert right["category"] == "Parties"
    assert right["text"] == "the laws of Bavaria"


def test_a_span_cannot_be_corrected_without_the_text() -> None:
    with pytest.raises(InvalidRequest, match="has no text"):
        corrected(an_item(), Correction(start=1, end=2), None)


def test_a_corrected_clause_has_a_longest_length() -> None:
    text = "a" * 100_002
    item = an_item(start=0, end=5, text="aaaaa")
    assert len(corrected(item, Correction(start=0, end=100_000), text)["text"]) == 100_000
    with pytest.raises(InvalidRequest, match="at most 100000 characters, not 100001"):
        corrected(item, Correction(start=0, end=100_001), text)


def around(text: str, quote: str, context: int) -> Item:
    document = Document("default", "doc_1", "a.pdf", "contract", pages=(PageSize(7, 0, 90, 1, 1),))
    start = text.index(quote)
    found = ClauseItem(
        id="cl_1",
        category="Parties",
        text=quote,
        start=start,
        end=start + len(quote),
        confidence=0.1,
    )
    (item,) = items_of_clauses(document, [found], text=text, context=context, now=START)
    return item


def test_an_item_has_the_text_around_its_clause() -> None:
    item = around(TEXT, "governed", 30)
    assert item.before + item.text + item.after == TEXT[: TEXT.index(" renews")]
    assert item.page == 7


@pytest.mark.parametrize(
    ("context", "before", "after"),
    [
        (100, "This Agreement 🖋 is ", " by the laws of Bavaria. It renews each year."),
        (19, "Agreement 🖋 is ", " by the laws of"),
        (17, "Agreement 🖋 is ", " by the laws of"),
        (15, "Agreement 🖋 is ", " by the laws of"),
        (14, "🖋 is ", " by the laws"),
        (1, " ", " "),
        (0, "", ""),
    ],
)
def test_context_is_whole_words(context: int, before: str, after: str) -> None:
    item = around(TEXT, "governed", context)
    assert (item.before, item.after) == (before, after)


def test_a_text_without_spaces_has_context() -> None:
    item = around("条" * 200 + "法" + "款" * 200, "法", 120)
    assert (item.before, item.after) == ("条" * 120, "款" * 120)


@pytest.mark.parametrize("form", [ClauseItem, Finding])
@pytest.mark.parametrize(
    "blob",
    [b"", b"{}", b"[{}]", b'[{"id":"x","category":"c","text":"t","start":0,"end":1}]', b"\xff"],
)
def test_invalid_results_name_their_document(form: type[Result], blob: bytes) -> None:
    with pytest.raises(BadResults, match="doc_9"):
        read_results(form, blob, "results", "doc_9")
