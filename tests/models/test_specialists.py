"""The steps from data to specialist: in order, each once, and again when one before changed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from models.specialists import Step, run, steps

CONFIG = {"training": {"epochs": 1}, "decoding": {"merge": 0.7}}


def write(path: Path, text: str) -> list[str]:
    """Return the arguments of a program that appends to a file."""
    return ["-c", f"open({str(path)!r}, 'a').write({text!r})"]


@pytest.fixture
def made(tmp_path: Path) -> list[Step]:
    """Three steps that write down that they ran; the last stands on the first."""
    log = tmp_path / "log"
    return [
        Step("train", write(log, "t"), ("training",)),
        Step("look", write(log, "l"), ("decoding",)),
        Step("export", write(log, "e"), (), ("train",)),
    ]


def test_each_step_runs_once(made: list[Step], tmp_path: Path) -> None:
    """Run again, nothing is done again."""
    run(made, CONFIG, tmp_path)
    run(made, CONFIG, tmp_path)
    assert (tmp_path / "log").read_text() == "tle"


def test_a_changed_section_runs_what_reads_it_and_what_stands_on_that(
    made: list[Step], tmp_path: Path
) -> None:
    """A training setting changes: trained and exported again, the rest is left."""
    run(made, CONFIG, tmp_path)
    run(made, CONFIG | {"training": {"epochs": 2}}, tmp_path)
    assert (tmp_path / "log").read_text() == "tlete"


def test_a_failed_step_stops_and_is_tried_again(made: list[Step], tmp_path: Path) -> None:
    """Nothing after it runs, and the next run begins with it."""
    broken = Step("look", ["-c", "raise SystemExit(3)"], ("decoding",))
    with pytest.raises(SystemExit, match=r"\[2/3\] look failed \(3\)"):
        run([made[0], broken, made[2]], CONFIG, tmp_path)
    run(made, CONFIG, tmp_path)
    assert (tmp_path / "log").read_text() == "tle"


def test_every_step_comes_after_those_it_stands_on(tmp_path: Path) -> None:
    """The steps are in an order in which they can run, and none is named twice."""
    made = steps(Path("models/contract-clauses"), tmp_path, tmp_path, tmp_path, "1.0.0")
    names = [step.name for step in made]
    assert len(names) == len(set(names))
    for i, step in enumerate(made):
        assert set(step.after) <= set(names[:i])


def test_every_program_of_a_step_exists_and_is_given_what_it_knows(tmp_path: Path) -> None:
    """Each step runs a module of ours with options that are in its text."""
    for step in steps(Path("models/contract-clauses"), tmp_path, tmp_path, tmp_path, "1.0.0"):
        module = Path(step.command[1].replace(".", "/") + ".py")
        text = module.read_text(encoding="utf-8")
        options = [part for part in step.command[2:] if part.startswith("--")]
        assert all(f'"{option}"' in text for option in options), step.name
        assert not any(a == b for a, b in itertools.pairwise(step.command))
