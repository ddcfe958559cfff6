"""How partitions are divided among the members of a Kafka group."""

from __future__ import annotations

import random

from shared.bus.sharing import Share, share


def test_the_first_member_serves_everything() -> None:
    """Alone, one keeps all, and gives nothing up."""
    assert share(range(4), {"a": []}) == {"a": Share(frozenset({0, 1, 2, 3}), 0)}


def test_a_new_member_waits_until_others_let_go() -> None:
    """Nothing is taken from who serves it; he is told how many to give up."""
    shares = share(range(12), {"a": range(12), "b": []})

    assert shares["a"] == Share(frozenset(range(12)), 6)
    assert shares["b"] == Share(frozenset(), 0)


def test_what_was_let_go_is_free_for_others() -> None:
    """In the next round the new member gets what is no longer reported."""
    shares = share(range(12), {"a": range(6), "b": []})

    assert shares["b"] == Share(frozenset(range(6, 12)), 0)
    assert shares["a"] == Share(frozenset(range(6)), 0)


def test_what_a_dead_member_served_goes_to_the_others() -> None:
    """Free partitions go to who has least, evenly."""
    shares = share(range(12), {"a": range(4), "b": range(4, 8)})

    assert [len(shares[member].partitions) for member in "ab"] == [6, 6]


def test_of_two_claims_one_counts() -> None:
    """Should two report the same partition, only one of them keeps it."""
    shares = share(range(2), {"a": [0, 1], "b": [0]})

    assert shares["a"].partitions == {0, 1}
    assert shares["b"].partitions == frozenset()


def test_any_group_becomes_even_without_taking_work_away() -> None:
    """Members come and go at random: never two owners, nothing unserved, and it settles evenly."""
    chance = random.Random(3)
    for _ in range(200):
        count = chance.randint(1, 24)
        served: dict[str, set[int]] = {"m0": set()}
        for step in range(chance.randint(1, 6)):
            if len(served) > 1 and chance.random() < 0.4:
                served.pop(chance.choice(sorted(served)))
            else:
                served[f"m{step + 1}"] = set()
            for _ in range(3):
                shares = share(range(count), served)
                owned = [one for part in shares.values() for one in part.partitions]
                assert sorted(owned) == list(range(count))
                assert all(served[member] <= shares[member].partitions for member in served)
                served = {
                    member: set(sorted(part.partitions)[part.give_up :])
                    for member, part in shares.items()
                }
            sizes = [len(part.partitions) for part in shares.values()]
            assert max(sizes) - min(sizes) <= 1
