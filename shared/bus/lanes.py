"""What a member of a Kafka group knows about the partitions it serves: plain data, no client.

A partition of `documents` is served together with the same partition of `documents.retry`, where
a message waits that is to be delivered again later, and so does what came behind it with the same
key. `Offsets` knows which records of one of the two are finished; a `Lane` holds the unfinished
messages of one key in the order of publishing; `Partition` brings the records of both together.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import insort
from dataclasses import dataclass, field

from shared.bus import Message
from shared.bus.turns import Turns, tenant_of


class Offsets:
    """Which records of one partition of one topic this group has finished.

    Committed is the offset of the first unfinished record, and beside it a note (the metadata of
    the commit) that names all unfinished ones, with the deliveries each has had, so that a
    successor repeats these and no others. The note has room for some hundreds; records beyond it
    are delivered again.
    """

    NOTE_BYTES = 3500
    """A broker takes 4,096 unless set otherwise (offset.metadata.max.bytes)."""

    def __init__(self, start: int, note: str = "") -> None:
        """Take up at offset `start`, with the note of the predecessor."""
        self.open: dict[int, int] = {}
        """The unfinished records, and how often each has been delivered."""
        self.next, self._unread = _read_note(start, note)
        self._early: set[int] = set()

    @property
    def start(self) -> int:
        """What is to be committed: everything before it is finished."""
        return min(itertools.chain(self.open, self._unread), default=self.next)

    def see(self, offset: int) -> bool:
        """Note a record that has been read; whether it is unfinished and new."""
        gone = [old for old in self._unread if old < offset]
        for old in gone:  # the topic no longer has it
            del self._unread[old]
        if offset in self._unread:
            self.open[offset] = self._unread.pop(offset)
            return True
        if offset < self.next:
            return False
        self.next = offset + 1
        if offset in self._early:
            self._early.remove(offset)
            return False
        self.open[offset] = 0
        return True

    def finish(self, offset: int) -> None:
        """The record is finished, even if it is one of ours that has yet to be read."""
        if offset >= self.next:
            self._early.add(offset)
        self.open.pop(offset, None)
        self._unread.pop(offset, None)

    def note(self) -> str:
        """The unfinished records from `start` on, as text."""
        unfinished = sorted((self.open | self._unread).items())
        parts: list[str] = []
        end, before, room = self.next, self.start, self.NOTE_BYTES
        for offset, deliveries in unfinished:
            part = f"{offset - before}" + (f"x{deliveries}" if deliveries else "")
            room -= len(part) + 1
            if room < 0:
                end = offset
                break
            parts.append(part)
            before = offset
        return f"{end - self.start}:" + ",".join(parts)


def _read_note(start: int, note: str) -> tuple[int, dict[int, int]]:
    """The first offset the note says nothing of, and the unfinished ones before it."""
    if not note:
        return start, {}
    length, _, parts = note.partition(":")
    unfinished: dict[int, int] = {}
    offset = start
    for part in parts.split(",") if parts else []:
        distance, _, deliveries = part.partition("x")
        offset += int(distance)
        unfinished[offset] = int(deliveries or 0)
    return start + int(length), unfinished


def unfinished(start: int, note: str, end: int) -> int:
    """How many records before `end` a commit leaves unfinished."""
    known, open_ = _read_note(start, note)
    return max(0, end - known) + sum(offset < end for offset in open_)


@dataclass(order=True)
class Entry:
    """An unfinished message, and the records that stand for it."""

    origin: int
    """Its offset in `documents`, by which the messages of a key are ordered."""
    message: Message = field(compare=False)
    attempts: int = field(default=0, compare=False)
    """How often it has been delivered, as far as the bus knows."""
    not_before: float = field(default=0.0, compare=False)
    main: int | None = field(default=None, compare=False)
    """Its record in `documents`, while that is unfinished."""
    retry: int | None = field(default=None, compare=False)
    """Its record in `documents.retry`, if it has one."""


@dataclass(eq=False)
class Lane:
    """The unfinished messages of one key, oldest first."""

    partition: Partition
    key: str
    entries: list[Entry] = field(default_factory=list)
    held: Entry | None = None
    """The one that is being worked on."""
    version: int = 0
    """Grows with each change of what comes next."""

    def stuck(self, until: float) -> list[Entry]:
        """What is behind a message that waits beyond this time, and should wait there with it."""
        first = self.entries[0] if self.entries else None
        if first is None or first.retry is None or first is self.held or first.not_before <= until:
            return []
        return [entry for entry in self.entries[1:] if entry.retry is None]


class Partition:
    """One partition of `documents` with its partition of `documents.retry`."""

    def __init__(self, number: int, main: Offsets, retry: Offsets) -> None:
        self.number = number
        self.main = main
        self.retry = retry
        self.lanes: dict[str, Lane] = {}
        self.moving: dict[int, bool] = {}
        """Messages on the way to `documents.retry`, by origin; whether they were finished since."""
        self.caught_up = False
        """Whether `documents.retry` has been read to where it ended when we took over."""
        self.draining = False
        """Whether it is about to be given up: nothing more is delivered."""
        self.lost = False
        """Whether another member serves it now: nothing is acknowledged any more."""
        self.dirty = True
        """Whether there may be something to commit."""

    @property
    def delivering(self) -> bool:
        return self.caught_up and not self.draining and not self.lost

    @property
    def held(self) -> int:
        """How many messages are being worked on."""
        return sum(lane.held is not None for lane in self.lanes.values())

    def add_main(self, offset: int, message: Message, now: float) -> Lane | None:
        """Take in a record of `documents`; its lane, if it is an unfinished message."""
        self.dirty = True
        if not self.main.see(offset):
            return None
        lane = self._lane(message.key)
        if any(entry.origin == offset for entry in lane.entries):
            self.main.finish(offset)  # it has moved to documents.retry
            return None
        deliveries = self.main.open[offset]
        self._insert(lane, Entry(offset, message, deliveries, not_before=now, main=offset))
        return lane

    def add_retry(self, offset: int, entry: Entry) -> Lane | None:
        """Take in a record of `documents.retry` that is for this group; its lane, if it is new."""
        self.dirty = True
        if not self.retry.see(offset):
            return None
        if self.moving.get(entry.origin):
            self.retry.finish(offset)
            return None
        lane = self._lane(entry.message.key)
        known = next((one for one in lane.entries if one.origin == entry.origin), None)
        if known is None:
            entry.retry = offset
            entry.attempts += self.retry.open[offset]
            self._insert(lane, entry)
            return lane
        newer = known.retry is None or known.retry < offset
        self.move(lane, known, offset)
        if newer and known is not lane.held:
            known.attempts = max(known.attempts, entry.attempts)
            known.not_before = entry.not_before
            lane.version += 1
        return lane if newer else None

    def pass_over(self, offset: int) -> None:
        """A record of `documents.retry` that is for another group."""
        self.dirty = True
        if self.retry.see(offset):
            self.retry.finish(offset)

    def pass_over_main(self, offset: int) -> None:
        """A record of `documents` that is no message."""
        self.dirty = True
        if self.main.see(offset):
            self.main.finish(offset)

    def move(self, lane: Lane, entry: Entry, offset: int) -> None:
        """There is a record of the message at `offset` of `documents.retry`: the latest counts."""
        self.dirty = True
        finished = not any(entry is one for one in lane.entries)
        if finished or (entry.retry is not None and entry.retry > offset):
            self.retry.finish(offset)
        elif entry.retry != offset:
            self._finish_records(entry)
            entry.main, entry.retry = None, offset

    def hold(self, lane: Lane) -> Entry:
        """Hand out the first message of a lane."""
        entry = lane.held = lane.entries[0]
        entry.attempts += 1
        self._count(entry)
        return entry

    def release(self, lane: Lane) -> None:
        """The message in hand is no longer worked on."""
        lane.held = None
        lane.version += 1

    def put_back(self, lane: Lane, until: float) -> None:
        """The message in hand waits until then, as if it had not been handed out."""
        entry = lane.held
        assert entry is not None
        entry.attempts -= 1
        entry.not_before = until
        self._count(entry, -1)
        self.release(lane)

    def finish(self, lane: Lane, entry: Entry) -> None:
        """The message is done with."""
        self.dirty = True
        self._finish_records(entry)
        if entry.origin in self.moving:
            self.moving[entry.origin] = True
        lane.entries.remove(entry)
        if lane.held is entry:
            self.release(lane)
        if not lane.entries:
            del self.lanes[lane.key]

    def _finish_records(self, entry: Entry) -> None:
        if entry.main is not None:
            self.main.finish(entry.main)
        if entry.retry is not None:
            self.retry.finish(entry.retry)

    def _count(self, entry: Entry, change: int = 1) -> None:
        """Note the delivery beside the commit, in case it is this message that kills us; or that
        there was none. Its record may have moved in between, so that it was noted at another."""
        self.dirty = True
        for record, known in ((entry.main, self.main.open), (entry.retry, self.retry.open)):
            if record is not None and record in known:
                known[record] = max(0, known[record] + change)

    def _lane(self, key: str) -> Lane:
        return self.lanes.setdefault(key, Lane(self, key))

    def _insert(self, lane: Lane, entry: Entry) -> None:
        insort(lane.entries, entry)
        lane.version += 1


_Heap = list[tuple[float, int, int, Lane]]


class Ready:
    """The lanes that have something to deliver, by the time from when on they may; tenants take
    turns.
    """

    def __init__(self) -> None:
        self._heaps: dict[str, _Heap] = {}
        """By tenant."""
        self._turns = Turns()
        self._count = itertools.count()

    def add(self, lane: Lane) -> None:
        """Enter a lane after a change, unless somebody works on it."""
        if lane.entries and lane.held is None and lane.partition.delivering:
            heap = self._heaps.setdefault(tenant_of(lane.key), [])
            first = lane.entries[0]
            heapq.heappush(heap, (first.not_before, next(self._count), lane.version, lane))

    def add_all(self, partition: Partition) -> None:
        """Enter every lane of a partition that may be delivered from now on."""
        for lane in partition.lanes.values():
            self.add(lane)

    def take(self, now: float) -> Lane | None:
        """A lane whose first message may be delivered, if there is one: of the tenant among those
        who have any that was served longest ago.
        """
        self._forget_stale()
        waiting = [tenant for tenant, heap in self._heaps.items() if heap[0][0] <= now]
        tenant = min(waiting, key=self._turns.of, default=None)
        if tenant is None:
            return None
        self._turns.take(tenant)
        return heapq.heappop(self._heaps[tenant])[3]

    def next_time(self) -> float | None:
        """When the next lane may be delivered."""
        self._forget_stale()
        return min((heap[0][0] for heap in self._heaps.values()), default=None)

    def _forget_stale(self) -> None:
        for heap in self._heaps.values():
            while heap and not _is_fresh(heap[0]):
                heapq.heappop(heap)
        self._heaps = {tenant: heap for tenant, heap in self._heaps.items() if heap}


def _is_fresh(entered: tuple[float, int, int, Lane]) -> bool:
    """Whether a lane is as it was when it was entered, and may be delivered here."""
    _, _, version, lane = entered
    fresh = version == lane.version and lane.held is None and bool(lane.entries)
    return fresh and lane.partition.delivering
