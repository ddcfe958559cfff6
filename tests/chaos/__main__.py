"""The command line of the package."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence

import tests.chaos
from infra.servers import kafka, postgres
from tests.chaos.breaks import BREAKS
from tests.chaos.run import prove
from tests.chaos.volume import VolumeError
from tests.support.patient_client import GivenUpError
from tests.support.suite_process import NotStartedError


def main(arguments: Sequence[str] | None = None) -> int:
    """One run. Returns 0 if every guarantee holds, 1 if not, 2 if it could not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=tests.chaos.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--documents", type=int, default=30, help="documents to send (%(default)s)")
    parser.add_argument("--kills", type=int, default=8, help="processes to kill (%(default)s)")
    parser.add_argument("--seed", type=int, help="seed of the plan; random by default")
    parser.add_argument("--break", dest="broken", default="", choices=["", *BREAKS])
    asked = parser.parse_args(arguments)
    lacking = kafka.missing() or postgres.missing()
    if lacking:
        print(f"chaos: {lacking}", file=sys.stderr)
        return 2
    seed = random.randrange(10**6) if asked.seed is None else asked.seed
    try:
        report = prove(seed, asked.documents, asked.kills, asked.broken, _print_progress)
    except (postgres.ClusterError, NotStartedError, GivenUpError, VolumeError) as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    print("\n".join(report.table()))
    return 0 if report.good else 1


def _print_progress(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
