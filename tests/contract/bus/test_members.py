"""Several members of a group, and what happens when one dies, on each bus."""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
import time
from collections import defaultdict

import pytest

from shared.bus import Bus
from tests.contract.bus.worlds import (
    PATIENCE,
    World,
    eventually,
    in_thread,
    message,
    outliving,
    receive,
    text,
    texts,
)


def test_members_share_the_work_and_never_a_key(bus: Bus) -> None:
    """Three threads work on twelve keys: each message once, in order, no key twice at a time."""
    bus.publish(*[message(f"k{n % 12}", n) for n in range(120)])
    guard, busy, overlaps = threading.Lock(), set[str](), list[str]()
    done: dict[str, list[int]] = defaultdict(list)

    def work() -> None:
        consumer = bus.consumer("g")
        while sum(map(len, done.values())) < 120:
            delivery = consumer.receive(0.5)
            if delivery is None:
                continue
            key = delivery.message.key
            with guard:
                if key in busy:
                    overlaps.append(key)
                busy.add(key)
            time.sleep(0.01)
            with guard:
                busy.discard(key)
                done[key].append(int(text(delivery)))
            consumer.ack(delivery)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)

    assert overlaps == []
    assert sorted(number for numbers in done.values() for number in numbers) == list(range(120))
    assert all(numbers == sorted(numbers) for numbers in done.values())


def test_long_work_is_not_delivered_to_others(world: World) -> None:
    """A handler may take longer than the lease while others come and go."""
    bus = world.open()
    bus.publish(message("a", 1))
    consumer = bus.consumer("g")
    held = receive(consumer)

    def another() -> None:
        other = world.open().consumer("g")
        assert other.receive(2.5 * world.lease) is None
        other.close()

    in_thread(another)
    consumer.ack(held)

    eventually(lambda: bus.lag("g") == 0, "the acknowledgement counts")
    consumer.close()
    assert bus.consumer("g").receive(1) is None


def test_a_member_that_joins_gets_work_while_another_is_busy(world: World) -> None:
    """One long piece of work does not keep the rest of the keys from a new member."""
    bus = world.open()
    keys = [f"k{n}" for n in range(40)]
    bus.publish(*[message(key, key) for key in keys])
    busy = bus.consumer("g")
    held = receive(busy)

    received: list[str] = []
    in_thread(lambda: received.extend(texts(world.open().consumer("g"), 10)))

    assert text(held) not in received
    busy.ack(held)
    eventually(lambda: bus.lag("g") <= 29, "both have acknowledged")


def test_what_an_abandoned_member_held_comes_again(world: World) -> None:
    """A thread that ends without closing its consumer loses what it held to others."""
    bus = world.open()
    bus.publish(message("a", 1), message("a", 2))
    kept = []

    def abandon() -> None:
        consumer = bus.consumer("g")
        kept.append((consumer, receive(consumer)))

    in_thread(abandon)

    assert texts(bus.consumer("g"), 2) == ["1", "2"]
    assert text(kept[0][1]) == "1"


@outliving
def test_what_a_killed_process_held_comes_again(world: World) -> None:
    """After kill -9 in the middle of its work the message is delivered again, as attempt 2."""
    bus = world.open()
    bus.publish(message("a", 1), message("a", 2))
    process = world.process("hold", "g")
    assert process.stdout is not None
    assert process.stdout.readline().split() == ["tenant/a", "1", "1"]
    process.kill()
    process.wait()

    consumer = bus.consumer("g")
    again = receive(consumer)
    assert (text(again), again.attempt) == ("1", 2)
    consumer.ack(again)
    assert texts(consumer, 1) == ["2"]


@outliving
def test_a_process_that_was_stopped_has_lost_what_it_held(world: World) -> None:
    """One that sleeps for longer than the lease changes nothing when it wakes and answers."""
    bus = world.open()
    bus.publish(message("a", 1))
    process = world.process("late", "g")
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline().split() == ["tenant/a", "1", "1"]
    process.send_signal(signal.SIGSTOP)
    consumer = bus.consumer("g")
    again = receive(consumer)
    process.send_signal(signal.SIGCONT)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "answered False\n"
    process.wait(PATIENCE)

    assert bus.dead_letters() == []
    consumer.retry(again, 0, "it is ours")
    assert text(receive(consumer)) == "1"


@outliving
def test_a_retry_outlives_the_process_that_asked_for_it(world: World) -> None:
    """After kill -9 the message still comes, behind its delay and before the rest of its key."""
    bus = world.open()
    bus.publish(message("a", 1), message("a", 2))
    process = world.process("retry", "g", "2")
    assert process.stdout is not None
    assert process.stdout.readline().split() == ["tenant/a", "1", "1"]
    process.kill()
    process.wait()

    consumer = bus.consumer("g")
    again = receive(consumer)
    assert (text(again), again.attempt) == ("1", 2)
    consumer.ack(again)
    assert texts(consumer, 1) == ["2"]


@pytest.mark.slow
@outliving
def test_two_processes_compete(world: World) -> None:
    """Each key is worked on by one of them at a time and in order, and nothing is missing."""
    bus = world.open()
    bus.consumer("g").close()  # the group exists
    processes = [world.process("work", "g", "0.05") for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    bus.publish(*[message(f"k{n % 20}", n) for n in range(200)])
    shares = [_lines(process) for process in processes]
    assert all(shares), "both have worked"
    done = [_line(line) for share in shares for line in share]

    by_key: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for key, number, start, end in done:
        by_key[key].append((start, end, number))
    for key, spans in by_key.items():
        spans.sort()
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans)), key
        numbers = [number for _, _, number in spans]
        assert numbers == sorted(numbers), key
    assert sorted(number for _, number, _, _ in done) == list(range(200))


def _lines(process: subprocess.Popen[str]) -> list[str]:
    output, _ = process.communicate(timeout=3 * PATIENCE)
    assert process.returncode == 0
    return output.splitlines()


def _line(line: str) -> tuple[str, int, float, float]:
    key, number, start, end = line.split()
    return key, int(number), float(start), float(end)
