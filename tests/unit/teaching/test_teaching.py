"""From examples to a specialist that is served like any other, on the real base."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.extraction.bootstrap import build
from services.extraction.metric import matches
from services.extraction.pipeline import Clause, find_clauses
from services.extraction.settings import Settings
from services.extraction.teaching import (
    Example,
    NotVerified,
    remove_taught,
    taught_adapters,
    teach,
    verify,
)
from services.extraction.teaching.keeping import FORGOTTEN, PREFIX, RESERVED
from services.extraction.teaching.learning import Head
from services.extraction.teaching.states import read_states
from shared.artefacts import sha256
from shared.errors import Conflict, InvalidRequest, NotFound, SuiteError
from shared.events import DocumentRead
from shared.inference import AdapterError, Specialist, Specialists
from shared.inference.adapters import (
    ADAPTER_FILE,
    VIEWS,
    adapter_names,
    newest_version,
    read_manifest,
    write_manifest,
)
from shared.inference.engines import Arithmetic
from shared.inference.session import Adapter, write_adapter
from shared.settings import load
from tests.support import ROOT
from tests.unit.teaching.made import CLAUSES, NAME, OTHERS, file_of, records

Report = dict[str, Any]


def unseen() -> tuple[str, str]:
    """A clause among other sentences that was no example, and the text."""
    words = CLAUSES[0].format("Lessee", "nine")
    return words, f"{OTHERS[0]} {OTHERS[3]} {words} {OTHERS[5]}"


def surest(text: str, specialist: Specialist) -> Clause:
    """What is found with the highest confidence; two dozen examples leave the rest to chance."""
    return max(find_clauses(text, specialist), key=lambda clause: clause.confidence)


@pytest.mark.parametrize("arithmetic", ["int4", "int8"])
def test_what_was_taught_is_found_in_a_new_text(
    report: Report, artefacts: Path, adapters: Path, arithmetic: Arithmetic
) -> None:
    """By the ordinary door, in either arithmetic, and nothing else in that text is as sure."""
    words, text = unseen()
    specialist = Specialists(artefacts, 1, arithmetic, adapters).get(NAME)
    found = surest(text, specialist)
    assert found.category == NAME
    assert matches(NAME, found.text, words)
    assert found.text == text[found.start : found.end]


def test_the_parent_answers_as_before_beside_it(
    report: Report, artefacts: Path, adapters: Path
) -> None:
    """Swapped for each text, neither says what the other would."""
    both, alone = Specialists(artefacts, 1, taught=adapters), Specialists(artefacts, 1)
    _, text = unseen()
    before = alone.get("contract-clauses").token_probabilities(text).probabilities
    both.get(NAME).token_probabilities(text)
    after = both.get("contract-clauses").token_probabilities(text).probabilities
    assert np.array_equal(before, after)
    assert both.names() == sorted([*adapter_names(artefacts), NAME])


def test_the_report_says_how_good_it_is(report: Report, adapters: Path) -> None:
    """Figures with intervals, a curve, a verdict, and what it was learned from; kept as well."""
    assert report["examples"] == {"count": 24, "empty": 8, "spans": 16, "documents": 24}
    for key in ("f1", "precision", "recall", "best_f1", "aupr"):
        one = report[key]
        assert 0 <= one["low"] <= one["value"] <= one["high"] <= 1
    assert report["aupr"]["value"] > 0.7
    assert [line["share"] for line in report["learning_curve"]] == [0.25, 0.5, 1.0]
    assert report["more_examples"]["answer"] in ("yes", "no", "unclear")
    assert report["verified"]["found"] >= 14
    assert report["verified"]["difference"] < 0.005
    kept = json.loads((adapters / NAME / "1.0.0" / "report.json").read_text("utf-8"))
    assert {**kept, "folder": report["folder"]} == report


def test_the_manifest_names_licence_and_parent(
    report: Report, artefacts: Path, adapters: Path
) -> None:
    """The examples' owner and the parent's sources; the encoder is the parent's to the bit."""
    source = newest_version(artefacts, "contract-clauses")
    parent, made = (
        read_manifest(folder / "manifest.json") for folder in (source, adapters / NAME / "1.0.0")
    )
    assert "owns the examples" in made.licence
    assert parent.licence in made.licence
    assert made.taught == {"on": f"contract-clauses {parent.version}", "examples": 24}
    assert made.labels == (NAME,)
    ours, theirs = Adapter(adapters / NAME / "1.0.0" / ADAPTER_FILE), Adapter(source / ADAPTER_FILE)
    mine, known = ours.parameters(), theirs.parameters()
    assert mine.keys() == known.keys()
    assert all(np.array_equal(mine[k], known[k]) for k in known if not k.startswith("head."))


def test_the_same_examples_teach_the_same(
    report: Report, artefacts: Path, examples: list[Example], tmp_path: Path
) -> None:
    """Nothing depends on chance that isn't seeded."""
    again = teach(NAME, examples, artefacts, tmp_path)
    changing = ("timings", "folder")
    assert {k: v for k, v in again.items() if k not in changing} == {
        k: v for k, v in report.items() if k not in changing
    }


def test_a_parent_with_edges_and_forests_will_do(
    artefacts: Path, examples: list[Example], tmp_path: Path
) -> None:
    """Of its three views and its ranking nothing is taken over: the result decodes plainly."""
    for base in artefacts.glob("base-*"):
        (tmp_path / base.name).symlink_to(base.resolve())
    source = newest_version(artefacts, "contract-clauses")
    target = Path(shutil.copytree(source, tmp_path / "contract-clauses" / source.name))
    manifest = read_manifest(target / "manifest.json")
    loaded = Adapter(source / ADAPTER_FILE)
    parameters = loaded.parameters()
    labels = len(manifest.labels)
    for key in ("head.weight", "head.bias"):
        parameters[key] = np.concatenate([parameters[key][..., :labels]] * 3, axis=-1)
    write_adapter(target / ADAPTER_FILE, parameters, 1)
    (target / "first.onnx").write_bytes(IDENTITY)
    changed = replace(
        manifest,
        adapter_sha256=sha256(target / ADAPTER_FILE),
        parameters={k: v.shape for k, v in parameters.items()},
        views=VIEWS,
        forests={"first": sha256(target / "first.onnx")},
        columns=("one",),
    )
    write_manifest(target / "manifest.json", changed)
    report = teach(NAME, examples, tmp_path, tmp_path / "adapters")
    made = read_manifest(Path(report["folder"]) / "manifest.json")
    assert (made.views, dict(made.forests), made.columns) == (("inside",), {}, ())
    words, text = unseen()
    specialist = Specialists(tmp_path, 1, taught=tmp_path / "adapters").get(NAME)
    assert matches(NAME, surest(text, specialist).text, words)


def _field(number: int, value: bytes) -> bytes:
    """A field of a protocol buffer."""
    return bytes([number << 3 | 2, len(value)]) + value


def _number_table(name: bytes) -> bytes:
    """A value of ONNX: floats [any, 1]."""
    shape = _field(1, _field(2, b"N")) + _field(1, b"\x08\x01")
    return _field(1, name) + _field(2, _field(1, b"\x08\x01" + _field(2, shape)))


NODE = _field(1, b"rows") + _field(2, b"y") + _field(4, b"Identity")
GRAPH = _field(1, NODE) + _field(2, b"g")
GRAPH += _field(11, _number_table(b"rows")) + _field(12, _number_table(b"y"))
IDENTITY = b"\x08\x0a" + _field(7, GRAPH) + _field(8, b"\x10\x15")
"""An ONNX graph that can be loaded where a forest is expected."""


# What must not be


@pytest.mark.parametrize("name", ["", "A", "a b", "../a", "-a", "a" * 65, "a\n"])
def test_a_name_that_is_none_is_refused(
    artefacts: Path, tmp_path: Path, examples: list[Example], name: str
) -> None:
    """Before anything is read; a name is a folder's name as well."""
    with pytest.raises(InvalidRequest, match="no name of a specialist"):
        teach(name, examples, artefacts, tmp_path)


@pytest.mark.parametrize("name", [*RESERVED, "base-0"])
def test_a_name_of_the_suite_is_refused(
    artefacts: Path, tmp_path: Path, examples: list[Example], name: str
) -> None:
    """What ships, now or later, keeps its name."""
    with pytest.raises(InvalidRequest, match="the suite's own"):
        teach(name, examples, artefacts, tmp_path)


def test_every_shipped_name_is_reserved(artefacts: Path) -> None:
    """Also where the shipped adapters lie elsewhere."""
    assert {path.parent.name for path in (ROOT / "models").glob("*/CARD.md")} <= set(RESERVED)
    assert set(adapter_names(artefacts)) <= set(RESERVED)


def test_a_name_is_taken_once_and_replaced_when_asked(
    artefacts: Path, tmp_path: Path, examples: list[Example]
) -> None:
    """A second teaching is refused; with `replace` it is the next version, alone in its folder."""
    with pytest.raises(NotFound, match="to be replaced"):
        teach(NAME, examples, artefacts, tmp_path, replace=True)
    teach(NAME, examples, artefacts, tmp_path)
    with pytest.raises(Conflict, match="--replace"):
        teach(NAME, examples, artefacts, tmp_path)
    specialists = Specialists(artefacts, 1, taught=tmp_path)
    assert specialists.get(NAME).manifest.version == "1.0.0"
    report = teach(NAME, examples, artefacts, tmp_path, replace=True)
    assert report["version"] == "2.0.0"
    assert [path.name for path in (tmp_path / NAME).iterdir()] == ["2.0.0"]
    assert specialists.get(NAME).manifest.version == "2.0.0"
    (line,) = taught_adapters(tmp_path)
    assert (line["name"], line["version"], line["examples"]) == (NAME, "2.0.0", 24)
    remove_taught(NAME, tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotFound, match="there is: none"):
        remove_taught(NAME, tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from services.extraction.teaching import read_examples, teach

def tell(what, done, total):
    if what == "trying it out":
        os.kill(os.getpid(), signal.SIGKILL)

teach("data-retention", read_examples(sys.stdin.buffer.read(), "x"), *map(Path, sys.argv[1:]),
      tell=tell)
"""


def test_a_kill_leaves_no_half_adapter(
    artefacts: Path, tmp_path: Path, examples: list[Example]
) -> None:
    """Killed when all is written but not tried out: nobody finds it, and later it is cleared."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(artefacts), str(tmp_path)],
        input=file_of(records()),
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(PREFIX)
    assert any(left.rglob(ADAPTER_FILE))
    assert adapter_names(tmp_path) == []
    assert taught_adapters(tmp_path) == []
    with pytest.raises(AdapterError, match="there is: contract-clauses"):
        Specialists(artefacts, 1, taught=tmp_path).get(NAME)
    old = left.stat().st_mtime - FORGOTTEN - 60
    os.utime(left, (old, old))
    teach(NAME, examples, artefacts, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_what_is_interrupted_leaves_nothing(
    artefacts: Path, tmp_path: Path, examples: list[Example]
) -> None:
    """Ctrl-C while it is tried out: the folder is as it was."""

    def tell(what: str, done: int, total: int) -> None:
        if what == "trying it out" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(NAME, examples, artefacts, tmp_path, tell=tell)
    assert list(tmp_path.iterdir()) == []


def test_what_is_served_must_be_what_was_learned(
    report: Report, artefacts: Path, adapters: Path, examples: list[Example]
) -> None:
    """An adapter that says something else than its head is not announced."""
    specialists = Specialists(artefacts, 1, taught=adapters)
    parent = specialists.get("contract-clauses")
    states = read_states(examples, parent, lambda _what, _done, _total: None)
    other = Head(np.zeros(states.vectors.shape[1], np.float32), 1.0)
    with pytest.raises(NotVerified, match="nothing is kept"):
        verify(specialists.get(NAME), states, other, lambda _what, _done, _total: None)


def test_a_folder_that_can_not_be_written_is_a_sentence(
    artefacts: Path, tmp_path: Path, examples: list[Example]
) -> None:
    """It says which, and which setting names another."""
    (tmp_path / "file").touch()
    with pytest.raises(SuiteError, match="SMALLPRINT_ADAPTERS"):
        teach(NAME, examples, artefacts, tmp_path / "file" / "adapters")


def test_a_name_in_both_folders_is_nobodys(
    report: Report, artefacts: Path, adapters: Path, tmp_path: Path
) -> None:
    """Should a release ship what was taught here under the same name, nothing is guessed."""
    for folder in artefacts.iterdir():
        (tmp_path / folder.name).symlink_to(folder.resolve())
    shutil.copytree(adapters / NAME, tmp_path / NAME)
    both = Specialists(tmp_path, 1, taught=adapters)
    with pytest.raises(AdapterError, match=f"two adapters claim the name '{NAME}'"):
        both.get(NAME)
    assert both.get("contract-clauses").labels


def test_services_can_be_set_to_what_was_taught(
    report: Report, adapters: Path, tmp_path: Path
) -> None:
    """The setting of extraction's adapter takes a name of either folder."""
    chosen = {"bus_url": "memory:", "data": tmp_path, "adapters": adapters}
    service = build(load(Settings, **chosen, extraction_adapter=NAME))
    extract = service.handlers[DocumentRead]
    assert isinstance(extract, partial)
    words, text = unseen()
    found = surest(text, extract.keywords["specialist"](extract.keywords["adapter"]))
    assert found.category == NAME
    assert matches(NAME, found.text, words)
