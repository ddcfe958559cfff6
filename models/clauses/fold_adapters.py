r"""Store the adapter of each fold, so that its scores can be computed again without training.

    python -m models.clauses.fold_adapters models/clauses/contract-clauses \
        var/specialists/contract-clauses/fold0 …

Writes the adapters to `runs/` in the specialist's folder, rounded to 16 bits, with their run.json.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from models.files import RUN_FILE, command
from models.lora.export import TRAINED_FILE, trained_state


def keep(run: Path, target: Path) -> None:
    """Copy a training to a folder, rounded to 16 bits. Raises SystemExit if it is not finished."""
    if not (run / RUN_FILE).exists():
        raise SystemExit(f"{run} has no finished training: run `python -m models.lora.train` again")
    target.mkdir(parents=True, exist_ok=True)
    state = {name: value.astype(np.float16) for name, value in trained_state(run).items()}
    save_file(state, target / TRAINED_FILE)
    shutil.copyfile(run / RUN_FILE, target / RUN_FILE)


def main() -> None:
    """Store the adapters of the runs that the command line names."""
    parser = command(__doc__, "specialist")
    parser.add_argument("runs", type=Path, nargs="+", help="folders written by models.lora.train")
    arguments = parser.parse_args()
    for run in arguments.runs:
        keep(run, arguments.specialist / "runs" / run.name)
        print(f"stored {run} in {arguments.specialist / 'runs' / run.name}")


if __name__ == "__main__":
    main()
