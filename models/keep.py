"""Keep the adapter that had not seen a fold, so that its scores can be made again without training.

    python -m models.keep models/contract-clauses var/specialists/contract-clauses/fold0 …

Each goes to `runs/` in the specialist's folder, rounded to 16 bits, with what its training was.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from models.export import TRAINED_FILE, trained_state

RUN = "run.json"


def keep(run: Path, target: Path) -> None:
    """Copy a finished training to a folder, its numbers in 16 bits.

    Raises:
        SystemExit: it is not finished.
    """
    if not (run / RUN).exists():
        raise SystemExit(f"{run} holds no finished training: run `python -m models.train` again")
    target.mkdir(parents=True, exist_ok=True)
    state = {name: value.astype(np.float16) for name, value in trained_state(run).items()}
    save_file(state, target / TRAINED_FILE)
    shutil.copyfile(run / RUN, target / RUN)


def main() -> None:
    """Read the command line and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with config.toml")
    parser.add_argument("runs", type=Path, nargs="+", help="folders written by models.train")
    arguments = parser.parse_args()
    for run in arguments.runs:
        keep(run, arguments.specialist / "runs" / run.name)
        print(f"kept {arguments.specialist / 'runs' / run.name}")


if __name__ == "__main__":
    main()
