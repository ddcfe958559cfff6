"""One process of a service in a run: `python -m tests.chaos.inside services.ingest worker`.

It logs its disk syncs (disk.py), and lacks the protection that the run removes (breaks.py).
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.breaks import take_away
from tests.chaos.disk import write_down_syncs
from tests.chaos.run_folder import RunFolder


def main(arguments: Sequence[str]) -> None:
    """Run the service. Raises FileNotFoundError outside the folder of a run."""
    run_folder = RunFolder.load(Path(os.environ["SMALLPRINT_DATA"]))
    module, *rest = arguments
    write_down_syncs(run_folder.data, run_folder.blobs)
    take_away(run_folder.broken, module)
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
