"""One Apache Kafka broker from its jars, for development and tests, without Docker.

    python -m infra.servers.kafka [--port 9092] [--data var/kafka/data]

runs it in the foreground, for a supervisor. It needs Java 17 or newer and, the first time, Maven,
which fetches the jars in pom.xml to var/kafka/libs. The broker only listens on loopback, and keeps
its data over restarts. In a program, `with running_broker(folder) as broker:` starts one on a free
port.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from infra.servers import jars
from infra.servers.jars import last_line
from infra.servers.ports import free_port

HERE = Path(__file__).resolve().parent
KAFKA = HERE.parents[1] / "var" / "kafka"
LIBS = KAFKA / "libs"
PORT = 9092
START_SECONDS = 300.0
STOP_SECONDS = 60.0
_WHAT = "the Kafka broker"

_NODE = "1"
# Any 16 bytes in URL-safe base64; fixed, so that starting twice formats once.
_CLUSTER = "c21hbGxwcmludC1kZXY0MA"

_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised},CONTROLLER://127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
metadata.max.idle.interval.ms=0
log.cleaner.dedupe.buffer.size=4194304
"""

# A single broker has no replicas, so acknowledged messages have to be on its disk.
_DURABLE = "log.flush.interval.messages=1\n"

_LOGGING = """\
status = WARN
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
"""


class BrokerError(Exception):
    """The broker can't be started; the message says why, in one line."""


def missing() -> str | None:
    """A message about a missing requirement, or None."""
    return jars.missing(_WHAT, LIBS)


class Broker:
    """A broker process on `port` of 127.0.0.1 with its files below `data`.

    `durable`: sync every message to disk before it is acknowledged, so that a power cut loses none.
    A killed broker loses none either way. `advertised`: the port for clients, if a proxy is in
    front. `more`: further properties, which override ours. `users`: passwords by name, for
    SCRAM-SHA-512; they are created with the folder.
    """

    def __init__(
        self,
        data: Path,
        port: int = PORT,
        *,
        durable: bool = False,
        advertised: int | None = None,
        more: str = "",
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data.resolve()
        self.port = port
        self.durable = durable
        self.advertised = advertised or port
        self.more = more
        self.users = users or {}
        self._properties = self.data / "server.properties"
        self._log = self.data / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The address in a bus URL: kafka://ADDRESS."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start in the background and return once it answers. Raises BrokerError."""
        with self._prepare() as lock, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.data,
                pass_fds=[lock.fileno()],
            )
        self._wait_until_it_answers(self._process)

    def become(self) -> None:
        """Replace this process with the broker, for a supervisor. Raises BrokerError."""
        lock = self._prepare()
        os.set_inheritable(lock.fileno(), True)
        os.chdir(self.data)
        command = self._command()
        os.execvp(command[0], command)  # noqa: S606 - a fixed command

    def stop(self) -> None:
        """Stop it and wait for its end. Does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._end(signal.SIGKILL)

    def _java(self, heap: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.data / 'log4j2.properties'}"
        return jars.java(LIBS, f"-Xmx{heap}", "-Xms64m", logging)

    def _command(self) -> list[str]:
        return [*self._java("512m"), "kafka.Kafka", str(self._properties)]

    def _prepare(self) -> TextIO:
        """Write its configuration. Returns the lock of its folder, which the broker inherits."""
        fetch_jars()
        self.data.mkdir(parents=True, exist_ok=True)
        lock = (self.data / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BrokerError(f"a broker already works on {self.data}") from None
        (self.data / "log4j2.properties").write_text(_LOGGING)
        properties = _PROPERTIES.format(
            node=_NODE,
            port=self.port,
            advertised=self.advertised,
            controller_port=free_port(),
            logs=self.data / "log",
        )
        self._properties.write_text(properties + (_DURABLE if self.durable else "") + self.more)
        if (self.data / "log" / "meta.properties").exists():
            return lock
        command = [*self._java("128m"), "kafka.tools.StorageTool", "format", "--standalone"]
        command += ["-t", _CLUSTER, "-c", str(self._properties)]
        for name, password in self.users.items():
            command += ["-S", f"SCRAM-SHA-512=[name={name},password={password}]"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BrokerError(f"Kafka can't format {self.data}: {last_line(done.stderr)}")
        return lock

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if process.poll() is not None:
                raise BrokerError(
                    f"Kafka stopped while starting (exit {process.returncode}): see {self._log}"
                )
            if _answers(self.port):
                return
            time.sleep(0.1)
        self.kill()
        raise BrokerError(f"Kafka did not answer within {START_SECONDS:.0f} s: see {self._log}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                raise BrokerError(f"Kafka does not stop: see {self._log}") from None


@contextmanager
def running_broker(data: Path) -> Iterator[Broker]:
    """A broker on a free port until the block ends."""
    broker = Broker(data, free_port())
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def fetch_jars() -> None:
    """Have Maven copy the broker's jars to var/kafka/libs, once. Raises BrokerError."""
    try:
        jars.fetch(_WHAT, HERE / "kafka" / "pom.xml", LIBS)
    except jars.JarsError as error:
        raise BrokerError(str(error)) from None


def _answers(port: int) -> bool:
    """Whether a broker on this port answers an ApiVersions request, and so is ready."""
    request = bytes.fromhex("00120000000000010004") + b"wait"
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as peer:
        peer.sendall(len(request).to_bytes(4, "big") + request)
        return len(peer.recv(8)) == 8
    return False


def main(arguments: list[str] | None = None) -> int:
    """Run the broker in this process. Returns the exit code if it can't start."""
    parser = argparse.ArgumentParser(prog="python -m infra.servers.kafka", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=PORT, help="default %(default)s")
    parser.add_argument("--data", type=Path, default=KAFKA / "data", help="default %(default)s")
    parser.add_argument("--advertised", type=int, help="port announced to clients; default: PORT")
    asked = parser.parse_args(arguments)
    try:
        Broker(asked.data, asked.port, durable=True, advertised=asked.advertised).become()
    except BrokerError as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
