"""The command: see the package's own words."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence

import infra.rolling
from infra.chaos.people import GivenUpError
from infra.kafka import broker
from infra.postgres import cluster
from infra.rolling.edition import PAUSE
from infra.rolling.release import NoHistoryError, before_last_revision
from infra.rolling.run import upgrade
from infra.run_kafka import StartError


def main(arguments: Sequence[str] | None = None) -> int:
    """One upgrade. Returns 0 if nothing was lost or done twice and all was replaced calmly, 1 if
    not, 2 if it could not be run.
    """
    parser = argparse.ArgumentParser(
        prog="python -m infra.rolling", description=infra.rolling.__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--documents", type=int, default=30, help="at least (%(default)s)")
    parser.add_argument("--seed", type=int, help="what is sent follows from it; drawn by chance")
    parser.add_argument(
        "--from", dest="commit", help="commit that serves first; that before the newest revision"
    )
    parser.add_argument(
        "--together", action="store_true", help="api, worker and relay of a service in one process"
    )
    parser.add_argument(
        "--pause", type=float, default=PAUSE, help="seconds before SIGTERM (%(default)s)"
    )
    asked = parser.parse_args(arguments)
    if lacking := broker.missing() or cluster.missing():
        print(f"rolling: {lacking}", file=sys.stderr)
        return 2
    try:
        report = upgrade(
            asked.commit or before_last_revision(),
            random.randrange(10**6) if asked.seed is None else asked.seed,
            asked.documents,
            together=asked.together,
            pause=asked.pause,
            tell=_tell,
        )
    except (
        NoHistoryError,
        StartError,
        GivenUpError,
        broker.BrokerError,
        cluster.ClusterError,
    ) as error:
        print(f"rolling: {error}", file=sys.stderr)
        return 2
    print("\n".join(report.table()))
    return 0 if report.good else 1


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
