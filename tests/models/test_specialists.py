"""The steps from data to specialist: in order, each once, and again when one before changed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from models.clauses.pipeline import SPECIALISTS, Step, run, steps
from models.files import folder_of, read_config

CONFIG = {"training": {"epochs": 1}, "decoding": {"merge": 0.7}}


def write(path: Path, text: str) -> list[str]:
    """Return the arguments of a program that appends to a file."""
    return ["-c", f"open({str(path)!r}, 'a').write({text!r})"]


@pytest.fixture
def made(tmp_path: Path) -> list[Step]:
    """Three steps that log that they ran. The last depends on the first."""
    log = tmp_path / "log"
    return [
        Step("train", write(log, "t"), ("training",)),
        Step("look", write(log, "l"), ("decoding",)),
        Step("export", write(log, "e"), (), ("train",)),
    ]


def test_each_step_runs_once(made: list[Step], tmp_path: Path) -> None:
    run(made, CONFIG, tmp_path)
    run(made, CONFIG, tmp_path)
    assert (tmp_path / "log").read_text() == "tle"


def test_a_changed_section_reruns_the_steps_that_depend_on_it(
    made: list[Step], tmp_path: Path
) -> None:
    run(made, CONFIG, tmp_path)
    run(made, CONFIG | {"training": {"epochs": 2}}, tmp_path)
    assert (tmp_path / "log").read_text() == "tlete"


def test_a_failed_step_stops_and_is_tried_again(made: list[Step], tmp_path: Path) -> None:
    broken = Step("look", ["-c", "raise SystemExit(3)"], ("decoding",))
    with pytest.raises(SystemExit, match=r"\[2/3\] look failed \(3\)"):
        run([made[0], broken, made[2]], CONFIG, tmp_path)
    run(made, CONFIG, tmp_path)
    assert (tmp_path / "log").read_text() == "tle"


MEET = """
import pathlib, sys, time
own, other = map(pathlib.Path, sys.argv[1:])
own.touch()
end = time.monotonic() + 120
while not other.exists():
    if time.monotonic() > end: sys.exit("nobody came")
    time.sleep(0.05)
"""


def test_steps_of_one_thread_run_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    one, two, log = tmp_path / "one", tmp_path / "two", tmp_path / "log"
    after = f"import os; assert os.path.exists({str(one)!r}) and os.path.exists({str(two)!r})"
    made = [
        Step("one", ["-c", MEET, str(one), str(two)], threads=1),
        Step("two", ["-c", MEET, str(two), str(one)], threads=1),
        Step("after", ["-c", f"{after}; open({str(log)!r}, 'a').write('a')"], (), ("one", "two")),
    ]
    run(made, CONFIG, tmp_path)
    run(made, CONFIG, tmp_path)
    assert log.read_text() == "a"


def test_a_step_that_fails_in_parallel_is_retried_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    log = tmp_path / "log"
    good = Step("good", write(log, "g"), threads=1)
    with pytest.raises(SystemExit, match=r"\[2/2\] bad failed \(3\)"):
        run([good, Step("bad", ["-c", "raise SystemExit(3)"], threads=1)], CONFIG, tmp_path)
    run([good, Step("bad", write(log, "b"), threads=1)], CONFIG, tmp_path)
    assert log.read_text() == "gb"


def all_steps(folder: Path) -> list[list[Step]]:
    """The steps of every specialist."""
    made = []
    for name in SPECIALISTS:
        specialist = folder_of(name)
        config = read_config(specialist)
        made.append(steps(specialist, config, folder, folder, folder))
    return made


def test_every_step_comes_after_its_dependencies(tmp_path: Path) -> None:
    for made in all_steps(tmp_path):
        names = [step.name for step in made]
        assert len(names) == len(set(names))
        for i, step in enumerate(made):
            assert set(step.after) <= set(names[:i])
            beside = itertools.takewhile(lambda other: other.threads, reversed(made[:i]))
            if step.threads:
                assert not {other.name for other in beside} & set(step.after)


def test_every_program_of_a_step_exists_and_gets_known_options(tmp_path: Path) -> None:
    for step in itertools.chain.from_iterable(all_steps(tmp_path)):
        module = Path(step.command[1].replace(".", "/") + ".py")
        text = module.read_text(encoding="utf-8")
        options = [part for part in step.command[2:] if part.startswith("--")]
        assert all(f'"{option}"' in text for option in options), step.name
        assert not any(a == b for a, b in itertools.pairwise(step.command))
