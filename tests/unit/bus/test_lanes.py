"""What a member of a Kafka group keeps about its partitions, without a broker."""

from __future__ import annotations

import random

from shared.bus import Message
from shared.bus.lanes import Entry, Lane, Offsets, Partition, Ready, unfinished


def partition_of(number: int = 0) -> Partition:
    partition = Partition(number, Offsets(0), Offsets(0))
    partition.caught_up = True
    return partition


def message(key: str, value: object = "") -> Message:
    return Message(key, str(value).encode())


def lane_of(partition: Partition, key: str) -> Lane:
    return partition.lanes[key]


def test_only_what_is_before_the_first_unfinished_record_is_committed() -> None:
    """Finishing out of order moves the commit only once the gap is closed."""
    offsets = Offsets(10)
    assert all(offsets.see(offset) for offset in range(10, 15))
    offsets.finish(12)
    offsets.finish(11)
    assert offsets.start == 10
    offsets.finish(10)
    assert offsets.start == 13
    offsets.finish(14)
    offsets.finish(13)
    assert offsets.start == 15


def test_a_successor_repeats_only_the_unfinished_records() -> None:
    """The note beside the commit names them, with the deliveries they have had."""
    first = Offsets(100)
    for offset in range(100, 200):
        first.see(offset)
        if offset not in (103, 150):
            first.finish(offset)
    first.open[150] = 2

    second = Offsets(first.start, first.note())

    assert second.start == 103
    again = [offset for offset in range(103, 205) if second.see(offset)]
    assert again == [103, 150, 200, 201, 202, 203, 204]
    assert (second.open[103], second.open[150]) == (0, 2)
    assert unfinished(first.start, first.note(), 205) == 7


def test_the_note_stays_small_and_forgets_only_towards_repeating() -> None:
    """With too many unfinished records, the later ones are simply read again."""
    offsets = Offsets(0)
    for offset in range(40_000):
        offsets.see(offset)
        if offset % 4:
            offsets.finish(offset)

    note = offsets.note()

    assert len(note) < 4096
    successor = Offsets(offsets.start, note)
    again = {offset for offset in range(40_000) if successor.see(offset)}
    assert set(range(0, 40_000, 4)) <= again
    assert len(again) < 40_000


def test_notes_lose_nothing_whatever_happens() -> None:
    """Random finishing and taking over: a record is forgotten only once it is finished."""
    chance = random.Random(5)
    for _ in range(100):
        offsets, finished, end = Offsets(7), set[int](), 7
        for _ in range(60):
            action = chance.random()
            if action < 0.5:
                offsets.see(end)
                end += 1
            elif action < 0.9 and offsets.open:
                done = chance.choice(sorted(offsets.open))
                offsets.finish(done)
                finished.add(done)
            else:
                start = offsets.start
                offsets = Offsets(start, offsets.note())
                for offset in range(start, end):
                    assert offsets.see(offset) == (offset not in finished)
        assert all(offset in finished for offset in range(7, offsets.start))


def test_records_that_the_topic_no_longer_has_are_forgotten() -> None:
    """If retention has removed an unfinished record, the commit does not wait for it."""
    first = Offsets(0)
    for offset in range(5):
        first.see(offset)
    second = Offsets(first.start, first.note())
    assert second.see(3)
    second.finish(3)
    assert second.see(4)
    second.finish(4)
    assert second.start == 5


def test_a_lane_is_in_order_of_publishing() -> None:
    """Records from `documents.retry` take their place by their offset in `documents`."""
    partition = partition_of()
    partition.add_main(5, message("a", 5), now=0)
    partition.add_retry(0, Entry(3, message("a", 3), attempts=1))
    partition.add_retry(1, Entry(1, message("a", 1), attempts=4))

    assert [entry.origin for entry in lane_of(partition, "a").entries] == [1, 3, 5]


def test_a_message_that_has_moved_is_not_delivered_twice() -> None:
    """Its record in `documents` is finished once the one in `documents.retry` is known."""
    partition = partition_of()
    partition.add_retry(0, Entry(3, message("a"), attempts=1))

    assert partition.add_main(3, message("a"), now=0) is None
    assert partition.main.start == 4
    assert len(lane_of(partition, "a").entries) == 1


def test_the_latest_retry_counts() -> None:
    """A message that was retried three times is one message with three records, two finished."""
    partition = partition_of()
    for offset in range(3):
        partition.add_retry(offset, Entry(9, message("a"), attempts=offset + 1))

    (entry,) = lane_of(partition, "a").entries
    assert (entry.attempts, entry.retry) == (3, 2)
    assert partition.retry.start == 2


def test_what_is_put_back_is_as_if_it_had_not_been_handed_out() -> None:
    """Also for a successor, and where its record has moved meanwhile; it is never below nothing."""
    partition = partition_of()
    partition.add_main(0, message("a"), now=0)
    lane = lane_of(partition, "a")
    entry = partition.hold(lane)
    partition.put_back(lane, until=5.0)
    assert (entry.attempts, entry.not_before, lane.held) == (0, 5.0, None)
    assert partition.main.note() == "1:0"

    partition.hold(lane)
    partition.move(lane, entry, 0)
    partition.add_retry(0, Entry(0, message("a"), attempts=1))
    partition.put_back(lane, until=6.0)
    assert partition.retry.note() == "1:0"
    assert partition.hold(lane).attempts == 1


def test_what_was_finished_on_its_way_does_not_come_back() -> None:
    """A message is acknowledged while it is being moved: its record there is finished, too."""
    for read_first in (True, False):
        partition = partition_of()
        partition.add_main(0, message("a"), now=0)
        lane = lane_of(partition, "a")
        (entry,) = lane.entries
        partition.moving[entry.origin] = False
        partition.hold(lane)
        partition.finish(lane, entry)
        if read_first:
            assert partition.add_retry(0, Entry(0, message("a"))) is None
        partition.moving.pop(0)
        partition.move(lane, entry, 0)
        if not read_first:
            assert partition.add_retry(0, Entry(0, message("a"))) is None

        assert partition.lanes == {}
        assert (partition.main.start, partition.retry.start) == (1, 1)


def test_only_what_is_behind_a_long_wait_moves() -> None:
    """Behind a message in hand, or one that is due soon, the rest stays where it is."""
    partition = partition_of()
    for offset in range(3):
        partition.add_main(offset, message("a", offset), now=0)
    lane = lane_of(partition, "a")
    assert lane.stuck(until=1.0) == []

    first = partition.hold(lane)
    partition.move(lane, first, 0)
    first.not_before = 5.0
    assert lane.stuck(until=1.0) == []
    partition.release(lane)
    assert [entry.origin for entry in lane.stuck(until=1.0)] == [1, 2]
    assert lane.stuck(until=6.0) == []


def test_lanes_are_ready_in_order_of_time_and_never_twice() -> None:
    """A lane in hand, of a lost partition, or before its time is not given out."""
    ready, partition, lost = Ready(), partition_of(), partition_of(1)
    for offset, (key, when) in enumerate([("late", 9.0), ("first", 1.0), ("second", 2.0)]):
        partition.add_main(offset, message(key), now=when)
        ready.add(lane_of(partition, key))
    lost.add_main(0, message("lost"), now=0.0)
    ready.add(lane_of(lost, "lost"))
    lost.lost = True

    taken = []
    while lane := ready.take(now=5.0):
        partition.hold(lane)
        ready.add(lane)
        taken.append(lane.key)

    assert taken == ["first", "second"]
    assert ready.next_time() == 9.0


def test_tenants_take_turns_with_their_lanes() -> None:
    """However many lanes one has, the other is next; one whose time has not come is passed over."""
    ready, partition = Ready(), partition_of()
    sent = [("big/1", 0.0), ("big/2", 0.0), ("big/3", 0.0), ("small/1", 3.0), ("later/1", 9.0)]
    for offset, (key, when) in enumerate(sent):
        partition.add_main(offset, message(key), now=when)
        ready.add(lane_of(partition, key))

    taken = []
    while lane := ready.take(now=5.0):
        partition.hold(lane)
        taken.append(lane.key)

    assert taken == ["big/1", "small/1", "big/2", "big/3"]
    assert ready.next_time() == 9.0


def test_nothing_is_delivered_before_the_retries_are_read() -> None:
    """A partition just taken over waits until it has caught up."""
    ready, partition = Ready(), Partition(0, Offsets(0), Offsets(0))
    partition.add_main(0, message("a"), now=0)
    ready.add(lane_of(partition, "a"))
    assert ready.take(now=1.0) is None

    partition.caught_up = True
    ready.add_all(partition)
    assert ready.take(now=1.0) is lane_of(partition, "a")
