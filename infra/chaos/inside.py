"""One process of a service in a run: `python -m infra.chaos.inside services.ingest worker`.

The service's own program, after what it syncs to the disk is written down (disk.py) and the
protection that the run takes away, if any, is gone (breaks.py).
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.chaos.breaks import take_away
from infra.chaos.disk import write_down_syncs
from infra.chaos.place import Place


def main(arguments: Sequence[str]) -> None:
    """Become the service. Raises FileNotFoundError anywhere but in the folder of a run."""
    place = Place.load(Path(os.environ["SMALLPRINT_DATA"]))
    module, *rest = arguments
    write_down_syncs(place.data, place.blobs)
    take_away(place.broken, module)
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
