"""The reader's child process: limits, deaths, threads, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shared.documents import Limits, PageRead, channel, read, sandbox
from shared.documents.confinement import Confinement
from shared.documents.sandbox import Reader
from shared.errors import EncryptedDocument, NotFound, Unavailable, UnreadableDocument
from shared.tenancy import work_of
from tests.support import ROOT
from tests.unit.documents import samples
from tests.unit.documents.hostile import start
from tests.unit.documents.samples import PASSWORD, sample

MEMORY = 1_000_000_000


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """One reader for all tests here: a dead child must not affect the next test."""
    with Reader(Limits(memory_bytes=MEMORY, seconds=300)) as reader:
        yield reader


def _child_of(reader: Reader) -> int:
    reader.read(b"A text.")
    assert reader.child_id is not None
    return reader.child_id


def _send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_it_reads_as_in_this_process(reader: Reader) -> None:
    here, there = read(sample("some_images")), reader.read(sample("some_images"))
    assert there.text == here.text
    assert there.pages == here.pages
    assert there.failed == here.failed
    assert np.array_equal(there.boxes, here.boxes, equal_nan=True)
    with pytest.raises(EncryptedDocument) as caught:
        reader.read(sample("encrypted_aes_256"), name="secret.pdf")
    assert caught.value.document == "secret.pdf"


def test_the_child_has_few_files_and_variables(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLPRINT_FRONTIER_KEY", "a secret")
    process = Path("/proc", str(_child_of(reader)))
    assert b"SMALLPRINT" not in (process / "environ").read_bytes()
    assert len(list((process / "task").iterdir())) == 2  # Landlock came before the second thread
    assert re.search(r"^Max open files +64 +64 ", (process / "limits").read_text(), re.MULTILINE)
    assert re.search(r"^Seccomp:\s+2$", (process / "status").read_text(), re.MULTILINE)


def test_a_system_without_confinement_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sandbox, "_START", start(offered=Confinement(landlock=0, filter=False)))
    sandbox._warn_once.cache_clear()
    for _ in range(2):
        with Reader(Limits(memory_bytes=MEMORY, seconds=300)) as reader:
            assert reader.read(b"A text.").text == "A text."
    messages = [record.message for record in caplog.records]
    assert len(messages) == 2
    assert "seccomp" in messages[0]
    assert "Landlock" in messages[1]


def test_each_page_is_announced_as_soon_as_it_is_read(reader: Reader) -> None:
    pages: list[PageRead] = []
    reading = reader.read(samples.plain(3), on_page=pages.append)
    assert [(page.number, page.pages) for page in pages] == [(1, 3), (2, 3), (3, 3)]
    texts = [reading.text[page.start : page.end].strip() for page in reading.pages]
    assert [page.text for page in pages] == texts
    assert [(page.width, page.height) for page in pages] == [
        (page.width, page.height) for page in reading.pages
    ]
    with Reader(Limits(memory_bytes=MEMORY, seconds=2.0)) as hasty:
        hasty.read(b"A text.")
        slow = hasty.read(samples.plain(3), on_page=lambda _page: time.sleep(1.0))
        assert not slow.failed


def test_a_child_reads_the_documents_of_one_tenant_only(reader: Reader) -> None:
    children = []
    for tenant in ("acme", "acme", "other", None):
        with work_of(tenant):
            children.append(_child_of(reader))
    assert [children.index(child) for child in children] == [0, 0, 2, 3]


def test_a_failing_listener_ends_the_child_and_raises(reader: Reader) -> None:
    child = _child_of(reader)

    def fails(page: PageRead) -> None:
        raise ZeroDivisionError(page.number)

    with pytest.raises(ZeroDivisionError):
        reader.read(samples.plain(3), on_page=fails)
    assert reader.read(samples.plain(1)).page_count == 1
    assert reader.child_id != child


def test_a_slow_listener_makes_no_page_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("shared.documents.reader.time", SimpleNamespace(monotonic=lambda: now[0]))

    def hears(_page: PageRead | int) -> None:
        now[0] += 1_000.0

    reading = read(samples.plain(3), progress=hears, on_page=hears)
    assert ([page.number for page in reading.pages], reading.failed) == ([1, 2, 3], ())


def test_it_draws_and_decrypts(reader: Reader) -> None:
    plain = reader.decrypt(sample("encrypted_rc4_128"), password=PASSWORD)
    assert reader.render(plain, 1, scale=0.5).startswith(b"\x89PNG")
    with pytest.raises(NotFound):
        reader.render(plain, 2)


READ_AND_TELL = """
import json, resource, sys
from shared.documents import Limits
from shared.documents.sandbox import Reader
with Reader(Limits(memory_bytes=int(sys.argv[1]), seconds=300)) as reader:
    reading = reader.read(sys.stdin.buffer.read(), name="bomb.pdf")
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
failed = [page.number for page in reading.failed]
print(json.dumps({"failed": failed, "text": reading.text, "most": most}))
"""


def test_a_bomb_costs_one_page_and_bounded_memory() -> None:
    data = samples.bomb()
    assert len(data) < 20_000
    command = [sys.executable, "-c", READ_AND_TELL, str(MEMORY)]
    answer = json.loads(subprocess.run(command, input=data, capture_output=True, check=True).stdout)
    assert answer["failed"] == [2]
    assert "Before the bomb." in answer["text"]
    assert "After the bomb." in answer["text"]
    assert 0 < answer["most"] <= MEMORY


def test_a_killed_child_costs_only_its_document(reader: Reader) -> None:
    os.kill(_child_of(reader), signal.SIGKILL)
    assert reader.read(samples.plain()).page_count == 1


@pytest.fixture
def die_at_work(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, signal.Signals], None]:
    """Make a child end by a signal after a request, before its answer."""

    def arrange(child: int, number: signal.Signals) -> None:
        os.kill(child, signal.SIGSTOP)
        sent = channel.send

        def send_and_end(*arguments: Any) -> None:
            sent(*arguments)
            _send(child, number)
            _send(child, signal.SIGCONT)

        monkeypatch.setattr(sandbox, "send", send_and_end)

    return arrange


def test_death_at_work_names_the_document(
    die_at_work: Callable[[int, signal.Signals], None],
) -> None:
    with Reader(Limits(memory_bytes=MEMORY, seconds=300)) as reader:
        die_at_work(_child_of(reader), signal.SIGSEGV)
        with pytest.raises(UnreadableDocument, match="signal 11") as caught:
            reader.read(samples.plain(), name="lease.pdf")
        assert caught.value.document == "lease.pdf"
        assert reader.read(samples.plain()).page_count == 1


def test_a_child_killed_at_work_is_not_the_documents_fault(
    die_at_work: Callable[[int, signal.Signals], None],
) -> None:
    with Reader(Limits(memory_bytes=MEMORY, seconds=300)) as reader:
        child = _child_of(reader)
        die_at_work(child, signal.SIGKILL)
        assert reader.read(samples.plain()).page_count == 1
        assert reader.child_id != child


def test_a_hanging_child_is_ended() -> None:
    with Reader(Limits(memory_bytes=MEMORY, seconds=2)) as reader:
        child = _child_of(reader)
        os.kill(child, signal.SIGSTOP)
        with pytest.raises(UnreadableDocument, match="longer than 2 seconds"):
            reader.read(samples.plain(), name="slow.pdf")
        assert not Path(f"/proc/{child}").exists()


def test_too_little_memory_is_a_clear_error() -> None:
    with (
        Reader(Limits(memory_bytes=50_000_000, seconds=60)) as reader,
        pytest.raises(UnreadableDocument, match="50 MB"),
    ):
        reader.read(b"a word " * 6_000_000, name="any.pdf")


def test_threads_take_turns(reader: Reader) -> None:
    starter = threading.Thread(target=reader.read, args=(samples.plain(),))
    starter.start()
    starter.join()
    texts: dict[int, str] = {}

    def work(number: int) -> None:
        for _ in range(3):
            texts[number] = reader.read(samples.plain(number)).text

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {number: read(samples.plain(number)).text for number in range(1, 5)}


def test_two_children_work_at_the_same_time_and_one_stays() -> None:
    together, pages = threading.Barrier(2), 3
    at_work: set[int] = set()

    def meet(_page: PageRead) -> None:
        together.wait(60)
        at_work.update(child.process_id for child in both._working)

    with Reader(Limits(memory_bytes=MEMORY, seconds=300), children=2) as both:
        document = samples.plain(pages)
        threads = [
            threading.Thread(target=both.read, args=(document,), kwargs={"on_page": meet})
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(at_work) == 2
        assert [_alive(child) for child in sorted(at_work)].count(True) == 1
        assert _child_of(both) in at_work


def test_closing_ends_the_child() -> None:
    reader = Reader()
    child = _child_of(reader)
    reader.close()
    assert not Path(f"/proc/{child}").exists()
    with pytest.raises(Unavailable, match="closed"):
        reader.read(b"A text.")
    reader.close()


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, threading, time
        from pathlib import Path
        from shared.documents.sandbox import Reader
        reader = Reader()
        starter = threading.Thread(target=reader.read, args=(b"A text.",))
        starter.start(); starter.join()
        print(reader.child_id, flush=True)
        time.sleep(600)
        """
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert _within(30, lambda: not _alive(child))


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
