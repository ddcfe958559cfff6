"""A member of a group in a process of its own, to be killed: see `World.process`.

hold URL LEASE GROUP            receive one message, say so, and work on it for ever
retry URL LEASE GROUP DELAY     receive one message, retry it, say so, and sleep for ever
late URL LEASE GROUP            receive one message, say so, and on a line of input give it up
work URL LEASE GROUP SECONDS    work on each message so long, until nothing comes any more
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from shared.bus import Consumer, open_bus

IDLE_SECONDS = 8.0


def say(*words: object) -> None:
    print(*words, flush=True)


def work(consumer: Consumer, seconds: float) -> None:
    say("ready")
    while delivery := consumer.receive(IDLE_SECONDS):
        key, value = delivery.message.key, delivery.message.value.decode()
        start = time.time()
        time.sleep(seconds)
        say(key, value, start, time.time())
        consumer.ack(delivery)


def main(task: str, url: str, lease: str, group: str, *arguments: str) -> None:
    bus = open_bus(url, lease=float(lease))
    consumer = bus.consumer(group)
    if task == "work":
        work(consumer, float(arguments[0]))
        bus.close()
        return
    delivery = consumer.receive(90)
    assert delivery is not None
    if task == "late":
        say(delivery.message.key, delivery.message.value.decode(), delivery.attempt)
        sys.stdin.readline()
        say("answered", consumer.dead(delivery, "too late"))
        bus.close()
        return
    if task == "retry":
        consumer.retry(delivery, float(arguments[0]), "not yet")
    time.sleep(1)  # so that Kafka has been told of what we did
    say(delivery.message.key, delivery.message.value.decode(), delivery.attempt)
    time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
