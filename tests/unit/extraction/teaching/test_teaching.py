"""Teaching on the real base, from examples to a served specialist."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.extraction.bootstrap import build
from services.extraction.evaluation.metric import matches
from services.extraction.pipeline.search import ClauseSpan, find_clauses
from services.extraction.settings import Settings
from services.extraction.teaching import (
    Example,
    VerificationFailed,
    remove_taught,
    taught_adapters,
    teach,
    verify,
)
from services.extraction.teaching.adapter_store import LEFTOVER_SECONDS, PREFIX, RESERVED
from services.extraction.teaching.encoder_states import read_states
from services.extraction.teaching.logistic_regression import Head
from shared.artefacts.loader import adapter_names
from shared.errors import Conflict, InvalidRequest, NotFound, SuiteError
from shared.events import DocumentRead
from shared.inference import AdapterError, Specialist, Specialists
from shared.inference.adapters import ADAPTER_FILE, AdapterManifest, newest_version
from shared.inference.engines import Arithmetic
from shared.inference.session import Adapter
from shared.settings import load
from tests.support import ROOT
from tests.unit.extraction.teaching.made import CLAUSES, NAME, OTHERS, file_of, records

Report = dict[str, Any]


def unseen() -> tuple[str, str]:
    words = CLAUSES[0].format("Lessee", "nine")
    return words, f"{OTHERS[0]} {OTHERS[3]} {words} {OTHERS[5]}"


def surest(text: str, specialist: Specialist) -> ClauseSpan:
    return max(find_clauses(text, specialist), key=lambda clause: clause.confidence)


@pytest.mark.parametrize("arithmetic", ["int4", "int8"])
def test_a_taught_category_is_found_in_a_new_text(
    report: Report, artefacts: Path, adapters: Path, arithmetic: Arithmetic
) -> None:
    words, text = unseen()
    specialist = Specialists(artefacts, 1, arithmetic, adapters).get(NAME)
    found = surest(text, specialist)
    assert found.category == NAME
    assert matches(NAME, found.text, words)
    assert found.text == text[found.start : found.end]


def test_the_parent_still_answers_beside_the_taught_adapter(
    report: Report, artefacts: Path, adapters: Path
) -> None:
    both, alone = Specialists(artefacts, 1, taught=adapters), Specialists(artefacts, 1)
    _, text = unseen()
    before = alone.get("contract-clauses").token_probabilities(text).probabilities
    both.get(NAME).token_probabilities(text)
    after = both.get("contract-clauses").token_probabilities(text).probabilities
    assert np.array_equal(before, after)
    assert both.names() == sorted([*adapter_names(artefacts), NAME])


def test_the_report_says_how_good_it_is(report: Report, adapters: Path) -> None:
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
    source = newest_version(artefacts, "contract-clauses")
    parent, made = (AdapterManifest.read(folder) for folder in (source, adapters / NAME / "1.0.0"))
    assert "the owner of the examples" in made.licence
    assert parent.licence in made.licence
    assert made.taught == {"on": f"contract-clauses {parent.version}", "examples": 24}
    assert made.labels == (NAME,)
    assert parent.forests
    assert (made.views, dict(made.forests), made.columns) == (("inside",), {}, ())
    ours, theirs = Adapter(adapters / NAME / "1.0.0" / ADAPTER_FILE), Adapter(source / ADAPTER_FILE)
    mine, known = ours.parameters(), theirs.parameters()
    assert mine.keys() == known.keys()
    assert all(np.array_equal(mine[k], known[k]) for k in known if not k.startswith("head."))


def test_the_same_examples_teach_the_same(
    report: Report, artefacts: Path, examples: list[Example], tmp_path: Path
) -> None:
    again = teach(NAME, examples, artefacts, tmp_path)
    changing = ("timings", "folder")
    assert {k: v for k, v in again.items() if k not in changing} == {
        k: v for k, v in report.items() if k not in changing
    }


INVALID = ("", "A", "a b", "../a", "-a", "a" * 65, "a\n")


@pytest.mark.parametrize("name", [*INVALID, *RESERVED, "base-0"])
def test_an_invalid_or_reserved_name_is_refused(
    artefacts: Path, tmp_path: Path, examples: list[Example], name: str
) -> None:
    why = "not a valid name" if name in INVALID else "reserved name"
    with pytest.raises(InvalidRequest, match=why):
        teach(name, examples, artefacts, tmp_path)


def test_every_shipped_name_is_reserved(artefacts: Path) -> None:
    assert {path.name for path in (ROOT / "models" / "artefacts").iterdir()} - set(RESERVED) == {
        path.name for path in (ROOT / "models" / "artefacts").glob("base-*")
    }
    assert set(adapter_names(artefacts)) <= set(RESERVED)


@pytest.mark.slow
def test_a_name_is_taken_once_and_replaced_when_asked(
    artefacts: Path, tmp_path: Path, examples: list[Example]
) -> None:
    with pytest.raises(NotFound, match="to replace"):
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
    with pytest.raises(NotFound, match="Taught here: none"):
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
    with pytest.raises(AdapterError, match="Installed: contract-clauses"):
        Specialists(artefacts, 1, taught=tmp_path).get(NAME)
    old = left.stat().st_mtime - LEFTOVER_SECONDS - 60
    os.utime(left, (old, old))
    teach(NAME, examples, artefacts, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_an_interrupted_teaching_leaves_nothing(
    artefacts: Path, tmp_path: Path, examples: list[Example]
) -> None:

    def tell(what: str, done: int, total: int) -> None:
        if what == "trying it out" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(NAME, examples, artefacts, tmp_path, tell=tell)
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_unlike_the_learned_head_is_refused(
    report: Report, artefacts: Path, adapters: Path, examples: list[Example]
) -> None:
    specialists = Specialists(artefacts, 1, taught=adapters)
    parent = specialists.get("contract-clauses")
    states = read_states(examples, parent, lambda _what, _done, _total: None)
    other = Head(np.zeros(states.vectors.shape[1], np.float32), 1.0)
    with pytest.raises(VerificationFailed, match="not installed"):
        verify(specialists.get(NAME), states, other, lambda _what, _done, _total: None)


def test_an_unwritable_folder_is_named(
    artefacts: Path, tmp_path: Path, examples: list[Example]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SuiteError, match="SMALLPRINT_ADAPTERS"):
        teach(NAME, examples, artefacts, tmp_path / "file" / "adapters")


def test_a_name_in_both_folders_is_refused(
    report: Report, artefacts: Path, adapters: Path, tmp_path: Path
) -> None:
    for folder in artefacts.iterdir():
        (tmp_path / folder.name).symlink_to(folder.resolve())
    shutil.copytree(adapters / NAME, tmp_path / NAME)
    both = Specialists(tmp_path, 1, taught=adapters)
    with pytest.raises(AdapterError, match=f"two adapters claim the name '{NAME}'"):
        both.get(NAME)
    assert both.get("contract-clauses").labels


def test_services_can_use_a_taught_adapter(report: Report, adapters: Path, tmp_path: Path) -> None:
    chosen = {"bus_url": "memory:", "data": tmp_path, "adapters": adapters}
    service = build(load(Settings, **chosen, extraction_adapter=NAME))
    extract = service.handlers[DocumentRead]
    assert isinstance(extract, partial)
    words, text = unseen()
    found = surest(text, extract.keywords["specialist"](extract.keywords["adapter"]))
    assert found.category == NAME
    assert matches(NAME, found.text, words)
