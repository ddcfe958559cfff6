"""A plan follows from its seed, and has every trouble however short it is."""

import pytest

from tests.chaos.documents import make_documents
from tests.chaos.plan import EVERYTHING, SERVERS, SHARES, plan

PROCESSES = [
    *("ingest", "review", "origin", "kafka", "postgres"),
    *("ingest-worker", "ingest-worker-2", "review-worker", "ingest-relay"),
]


def test_a_seed_gives_the_same_run_again() -> None:
    again = [list(plan(7, 100, 40, PROCESSES)) for _ in range(2)]
    assert again[0] == again[1] != list(plan(8, 100, 40, PROCESSES))
    assert make_documents(7, 20) == make_documents(7, 20)
    assert [one.data for one in make_documents(7, 20)] != [
        one.data for one in make_documents(8, 20)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_a_short_run_kills_something_of_everything(seed: int) -> None:
    turns = list(plan(seed, 30, 8, PROCESSES))
    killed = {turn.kill for turn in turns}
    assert len(turns) == 8
    assert {EVERYTHING, "kafka", "postgres"} <= killed
    assert {"ingest", "review", "origin"} & killed
    assert any("-worker" in name for name in killed)
    assert any("-relay" in name for name in killed)
    assert {turn.trouble.kind for turn in turns if turn.trouble} == set(SHARES)


@pytest.mark.parametrize("kills", [6, 8, 30, 200])
def test_the_disk_of_each_server_is_full_where_it_can_be(kills: int) -> None:
    for seed in range(20):
        plain = list(plan(seed, 30, kills, PROCESSES))
        full = list(plan(seed, 30, kills, PROCESSES, SERVERS))
        more = [turn.trouble for one, turn in zip(plain, full, strict=True) if one != turn]
        assert {(one.kind, one.target) for one in more if one} == {("full", s) for s in SERVERS}
        assert [one for one in plain if one.trouble] == [
            turn for one, turn in zip(plain, full, strict=True) if one.trouble
        ]
        assert [turn.kill for turn in plain] == [turn.kill for turn in full]


def test_every_document_has_its_turn() -> None:
    turns = list(plan(1, 1000, 200, PROCESSES))
    assert [n for turn in turns for n in turn.documents] == list(range(1000))
    assert [turn.kill for turn in turns].count(EVERYTHING) == 2


def test_no_two_documents_have_the_same_bytes() -> None:
    made = make_documents(3, 200)
    assert len({one.data for one in made}) == 200
    assert sum(one.kind == "report" for one in made) == 60
