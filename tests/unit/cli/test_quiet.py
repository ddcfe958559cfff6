"""No library reports to anybody: no threads, no files in the home folder."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT, require

PROGRAM = """
import os, time
import shared.inference.session, services.cli, services.extraction.bootstrap
import services.ingest.bootstrap, services.review.bootstrap, services.triage.bootstrap
time.sleep(0.2)
print(len(os.listdir("/proc/self/task")))
"""


def test_loading_everything_starts_no_reporter(tmp_path: Path) -> None:
    require(Path("/proc/self/task").is_dir(), "a system that lists a process's threads in /proc")
    kept = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    alone = {"HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    kept.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**kept, **alone},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "1", f"threads: {done.stdout} {done.stderr}"
    assert list(tmp_path.rglob("*")) == []
