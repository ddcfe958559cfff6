"""An S3 server for development and tests: S3Proxy, which stores objects in a folder.

    python -m infra.servers.s3 [--port 9000] [--data var/s3/data] [--bucket smallprint]

runs it in the foreground on loopback, makes the bucket, and prints the environment variables for
the suite. It needs Java 17 or newer. The first time, it also needs Maven, to fetch the jars. In a
program, `with running_server(folder) as server:` starts one on a free port.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from infra.servers import jars
from infra.servers.jars import JarsError
from infra.servers.ports import free_port

HERE = Path(__file__).resolve().parent
S3 = HERE.parents[1] / "var" / "s3"
LIBS = S3 / "libs"
PORT = 9000
START_SECONDS = 120.0
STOP_SECONDS = 20.0
_WHAT = "the server of S3"

_PROPERTIES = """\
s3proxy.endpoint=http://127.0.0.1:{port}
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity={identity}
s3proxy.credential={secret}
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir={objects}
"""

_LOGGING = """\
<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %p %c{1}: %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>
"""


def missing() -> str | None:
    """A message about a missing requirement, or None."""
    return jars.missing(_WHAT, LIBS)


@dataclass
class Server:
    """A server on `port` of 127.0.0.1 that keeps its objects below `data`, one folder a bucket."""

    data: Path
    port: int
    identity: str = "smallprint"
    secret: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def objects(self) -> Path:
        """The folder of its buckets."""
        return self.data.resolve() / "objects"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for an S3 client."""
        return {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.identity,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }

    def bucket(self, name: str) -> None:
        """Make a bucket, which is a folder here, unless it exists."""
        (self.objects / name).mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start in the background and return once it answers. Raises JarsError."""
        jars.fetch(_WHAT, HERE / "s3" / "pom.xml", LIBS)
        self.objects.mkdir(parents=True, exist_ok=True)
        logging, properties = self.data / "logback.xml", self.data / "s3.properties"
        logging.write_text(_LOGGING)
        properties.touch(mode=0o600)
        properties.write_text(
            _PROPERTIES.format(
                port=self.port, identity=self.identity, secret=self.secret, objects=self.objects
            )
        )
        configured = f"-Dlogback.configurationFile={logging.resolve()}"
        with (self.data / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *jars.java(LIBS, "-Xmx256m", "-Xms32m", configured),
                    *("org.gaul.s3proxy.Main", "--properties", str(properties.resolve())),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise JarsError(f"{_WHAT} does not start: see {self.data / 'server.log'}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it. Does nothing if it does not run."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        where = ("127.0.0.1", self.port)
        with suppress(OSError), socket.create_connection(where, timeout=2) as peer:
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return peer.recv(5) == b"HTTP/"
        return False


@contextmanager
def running_server(data: Path) -> Iterator[Server]:
    """A server on a free port until the block ends."""
    server = Server(data, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main(arguments: list[str] | None = None) -> int:
    """Run the server until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m infra.servers.s3", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=PORT, help="default %(default)s")
    parser.add_argument("--data", type=Path, default=S3 / "data", help="default %(default)s")
    parser.add_argument("--bucket", default="smallprint", help="default %(default)s")
    options = parser.parse_args(arguments)
    options.data.mkdir(parents=True, exist_ok=True)
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY") or secrets.token_hex(16)
    server = Server(options.data, options.port, secret=secret)
    try:
        server.start()
    except JarsError as error:
        print(error, file=sys.stderr)
        return 1
    server.bucket(options.bucket)
    environment = {"SMALLPRINT_BLOBS_URL": f"s3://{options.bucket}", **server.environment}
    for name, value in environment.items():
        print(f"export {name}={value}", flush=True)
    try:
        assert server.process is not None
        return server.process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
