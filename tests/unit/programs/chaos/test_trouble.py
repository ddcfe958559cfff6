"""The network that fails, the disk that forgets, and the processes that may not run elsewhere."""

import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.servers.ports import free_port
from infra.servers.postgres import Cluster
from tests.chaos import trouble
from tests.chaos.breaks import BREAKS
from tests.chaos.disk import line, lose_unsynced, now
from tests.chaos.plan import Trouble
from tests.chaos.proxy import Proxy
from tests.chaos.run_folder import RunFolder
from tests.chaos.trouble import Troubles, limit
from tests.chaos.volume import volume
from tests.support import ROOT, require

WRITER = """
import os, sys
from pathlib import Path
from tests.chaos.breaks import take_away
from tests.chaos.disk import write_down_syncs
from shared.blobs import FileBlobs

data = Path(sys.argv[1])
write_down_syncs(data, data / "blobs")
take_away(sys.argv[2], "services.ingest")
FileBlobs(data / "blobs").put("default", b"a lease")
"""

DIES = """
from shared.blobs import files as blobs
sync = blobs._sync
blobs._sync = lambda folder: os._exit(0) if len(folder.name) == 2 else sync(folder)
"""
"""Before the folder is synced into which a blob was renamed."""

LATE_WRITER = """
import os, sys
from pathlib import Path
from tests.chaos.disk import write_down_syncs

data = Path(sys.argv[1])
blobs = data / "blobs"
blobs.mkdir()
write_down_syncs(data, blobs)
with (blobs / "incoming").open("wb") as file:
    file.write(b"a lease")
    if sys.argv[2] == "flushed":
        file.flush()
    os.fsync(file.fileno())
    file.write(b" of a house")
(blobs / "incoming").replace(blobs / "a")
folder = os.open(blobs, os.O_RDONLY)
os.fsync(folder)
"""

KEEPER = """
import sys
from pathlib import Path
from shared.errors import Unavailable
from shared.blobs import FileBlobs

for line in sys.stdin:
    try:
        FileBlobs(Path(sys.argv[1])).put("default", line.encode())
        print("kept", flush=True)
    except Unavailable as error:
        print(error.message, flush=True)
"""


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(peer: socket.socket) -> None:
            with peer:
                while received := peer.recv(100):
                    peer.sendall(received)

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_the_proxy_passes_drops_and_refuses(echo: int) -> None:
    port = free_port()
    proxy = Proxy(port, echo)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        peer.sendall(b"hello")
        assert peer.recv(100) == b"hello"
        proxy.away = True
        assert proxy.drop() == 1
        assert peer.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        assert peer.recv(100) == b""
    proxy.away = False
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        peer.sendall(b"again")
        assert peer.recv(100) == b"again"
    proxy.close()


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    command = [sys.executable, "-c", KEEPER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]

        def put(what: str) -> str:
            process.stdin.write(f"{what}\n")
            return str(process.stdout.readline().strip())

        assert put("a lease") == "kept"
        limit(process.pid, 0)
        assert "File too large" in put("another lease")
        limit(process.pid, resource.RLIM_INFINITY)
        assert put("another lease") == "kept"
        process.stdin.close()


@pytest.mark.needs("root")
def test_the_disk_of_a_server_is_full_for_a_while(tmp_path: Path) -> None:
    small = volume(tmp_path)
    require(small, "root, and a kernel that lets it mount a file system")
    assert small is not None
    try:
        old, new = tmp_path / "old", tmp_path / "new"
        old.write_bytes(b"a" * 100_000)
        met = iter([0, 0, 0, 1])
        run_folder = SimpleNamespace(
            volumes={"postgres": small}, refusals=lambda _server: next(met)
        )
        troubles = Troubles(SimpleNamespace(), run_folder, {})  # type: ignore[arg-type]
        assert troubles.make(Trouble("full", "postgres", 0.5))
        with old.open("r+b") as file:
            file.write(b"b" * 100_000)
        with pytest.raises(OSError, match="No space left"):
            new.write_bytes(b"c" * 100_000)
        troubles.settle()
        new.write_bytes(b"c" * 100_000)
        assert (old.read_bytes(), troubles.made) == (b"b" * 100_000, {"full postgres": 1})
    finally:
        small.unmount()


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_only_what_was_hit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "ALIVE_SECONDS", 5.0)
    dead, next_one = sleeper(), sleeper()
    dead.kill()
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    run_folder = SimpleNamespace(volumes={})
    pids = {"extraction-worker": dead.pid}  # a zombie
    running = SimpleNamespace(pids=pids)
    troubles = Troubles(running, run_folder, {})  # type: ignore[arg-type]
    starting = threading.Timer(0.3, running.pids.update, [{"extraction-worker": next_one.pid}])
    starting.start()
    assert troubles.kill("extraction-worker")
    assert next_one.wait(10) == -9
    monkeypatch.setattr(trouble, "ALIVE_SECONDS", 0.1)
    assert not troubles.kill("extraction-worker")
    assert not troubles.make(Trouble("stop", "extraction-worker", 0.1))
    assert not troubles.make(Trouble("full", "extraction-worker", 0.1))
    assert troubles.made == {"kill -9 extraction-worker": 1}
    dead.wait(10)


@pytest.mark.parametrize(("broken", "kept"), [("", b"a lease"), ("no-fsync", b"")])
def test_a_pulled_plug_takes_what_was_not_synced(tmp_path: Path, broken: str, kept: bytes) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path), broken], cwd=ROOT, check=True)
    hit = lose_unsynced(tmp_path, tmp_path / "blobs")
    (blob,) = [path for path in tmp_path.rglob("*") if len(path.name) == 64]
    assert (blob.read_bytes(), hit) == (kept, int(kept == b""))


def test_what_is_put_again_is_as_durable_as_at_first(tmp_path: Path) -> None:
    for writer in (WRITER.replace("FileBlobs(", f"{DIES}FileBlobs("), WRITER):
        subprocess.run([sys.executable, "-c", writer, str(tmp_path), ""], cwd=ROOT, check=True)
    assert lose_unsynced(tmp_path, tmp_path / "blobs") == 0
    (blob,) = [path for path in tmp_path.rglob("*") if len(path.name) == 64]
    assert blob.read_bytes() == b"a lease"


@pytest.mark.parametrize(("first", "kept"), [("flushed", b"a lease"), ("buffered", b"")])
def test_what_is_written_after_the_sync_is_lost(tmp_path: Path, first: str, kept: bytes) -> None:
    command = [sys.executable, "-c", LATE_WRITER, str(tmp_path), first]
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "blobs" / "a").read_bytes() == b"a lease of a house"
    assert lose_unsynced(tmp_path, tmp_path / "blobs") == 1
    assert (tmp_path / "blobs" / "a").read_bytes() == kept


def note(data: Path, path: Path) -> None:
    """Have the journal say that a file or folder is synced now."""
    handle = os.open(path, os.O_RDONLY)
    with (data / "synced").open("a") as journal:
        journal.write(line(handle, now(handle)))
    os.close(handle)


def test_a_file_is_gone_whose_folder_was_not_synced(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (blobs / "incoming").write_bytes(b"lease")
    note(tmp_path, blobs)
    file = (blobs / "incoming").rename(blobs / "a")
    note(tmp_path, file)
    assert lose_unsynced(tmp_path, blobs) == 1
    assert not file.exists()


def test_a_file_that_is_touched_stays_in_its_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), ""]
    subprocess.run(command, cwd=ROOT, check=True)
    (blob,) = [path for path in tmp_path.rglob("*") if len(path.name) == 64]
    os.utime(blob)
    assert lose_unsynced(tmp_path, tmp_path / "blobs") == 0
    assert blob.read_bytes() == b"a lease"


def test_an_inode_that_is_used_again_is_another_file(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    file = blobs / "a"
    file.write_bytes(b"lease")
    note(tmp_path, blobs)
    note(tmp_path, file)
    assert lose_unsynced(tmp_path, blobs) == 0
    journal = tmp_path / "synced"
    who = journal.read_text().splitlines()[1].split()[0]
    journal.write_text(journal.read_text().replace(who, f"{file.stat().st_ino}.1.2"))
    assert lose_unsynced(tmp_path, blobs) == 1
    assert file.read_bytes() == b""


@pytest.mark.parametrize("broken", BREAKS)
def test_a_protection_can_be_taken_away_in_a_process_of_a_run(broken: str) -> None:
    program = f"from tests.chaos.breaks import take_away; take_away({broken!r}, 'services.ingest')"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_nothing_is_broken_outside_a_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos.inside", "services.ingest", "migrate"]
    env = {**os.environ, "SMALLPRINT_DATA": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "chaos.json" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_server_says_in_either_way_that_its_disk_is_full(tmp_path: Path) -> None:
    """The second line is of a Java broker that started on a full disk."""
    run_folder = RunFolder(tmp_path, Cluster(tmp_path, 1), 2, 3, 4, 5)
    assert run_folder.refusals("kafka") == 0
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "kafka.log").write_text(
        "java.io.IOException: No space left on device\n"
        "java.lang.InternalError: a fault occurred in a recent unsafe memory access operation in"
        " compiled Java code\n"
        "INFO KafkaRaftServer: Kafka Server started\n"
    )
    assert run_folder.refusals("kafka") == 2
