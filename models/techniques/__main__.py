r"""Compare training techniques without fold 0: a table and a picture for each experiment.

    make techniques LEGAL=FOLDER BASE=FOLDER [ONLY=qlora]

Trains what is missing below `--work`, and writes the results to models/TECHNIQUES.md. The
experiments share trainings. The whole takes hours on two cores.
"""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

import torch

from models.files import command, say
from models.techniques import corrections, distillation, qlora, synthetic
from models.techniques.bench import READINGS, Bench
from models.techniques.report import PAGE, divided, rows, table, write

EXPERIMENTS = {
    "qlora": qlora,
    "corrections": corrections,
    "synthetic": synthetic,
    "distillation": distillation,
}
"""The experiments in the order in which they run. Later ones use trainings of earlier ones."""


def main() -> None:
    """Read the command line, run the experiments, and write the page."""
    parser = command(__doc__, "specialist", "--data", "--base")
    parser.add_argument("--work", type=Path, default=Path("var/techniques"))
    parser.add_argument("--only", choices=EXPERIMENTS, nargs="+", default=list(EXPERIMENTS))
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.only:
        divided(arguments.page, name)
    bench = Bench.of(arguments.specialist, arguments.data, arguments.base, arguments.work)
    for name in arguments.only:
        experiment = EXPERIMENTS[name]
        say(f"experiment {name}")
        made = rows(bench, experiment.arms(bench))
        write(name, experiment.TITLE, made, arguments.page)
        rmtree(bench.work / READINGS / name, ignore_errors=True)  # gigabytes; all is trained
        print(f"{experiment.TITLE}\n\n{table(made)}\n")


if __name__ == "__main__":
    main()
