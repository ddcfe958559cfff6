"""A folder whose batch is killed has one receipt a file in the end; a count that finds faults."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from infra.kill_batch import (
    HOSTILE_EVERY,
    TYPES,
    Place,
    Report,
    changed,
    counted,
    fill,
    real,
    run,
    written_again,
)
from shared.errors import SettingsError
from tests.samples import contract, report
from tests.support import ROOT, artefacts

OFFICE = ROOT / "tests" / "data" / "documents" / "office"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Report]:
    """Forty files of our own documents, killed three times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMALLPRINT_ARTEFACTS", str(artefacts()))
        place = Place.below(tmp_path_factory.mktemp("killed"))
        # Texts that take their time: a batch that ends before it is killed shows nothing.
        long = b"\n\n".join(contract(n) for n in range(15))
        documents = [(".txt", long)] * 14 + [(".json", report("f"))]
        return place, run(place, documents, files=40, kills=3, seed=1, tell=lambda _line: None)


def test_every_file_has_one_receipt(killed: tuple[Place, Report]) -> None:
    """Three kills lose nothing and repeat nothing; what failed is named with its reason."""
    place, found = killed
    assert found.good, "\n".join(found.table())
    assert (found.files, found.receipts, found.hostile) == (40, 40, 40 // HOSTILE_EVERY)
    assert (found.worked, sum(found.errors.values())) == (38, 2)
    assert len(found.kills) == 3
    assert found.kills == sorted(found.kills)
    assert found.kills[0] >= 10
    assert "GOOD: 3 of 3 kills, 40 files, 40 receipts, 0 twice, 2 failed" in list(found.table())[-1]
    summary = json.loads((place.results / "summary.json").read_text("utf-8"))
    assert all("hostile" in one["source"] for one in summary["failed"])


def test_the_counting_finds_what_is_lost_twice_or_not_named(
    killed: tuple[Place, Report],
) -> None:
    """Each of them makes the run a bad one."""
    _, found = killed
    for wrong in (
        replace(found, receipts=39),
        replace(found, missing=["a"]),
        replace(found, twice=["a"]),
        replace(found, unnamed=["a"]),
        replace(found, exit_code=-9),
        replace(found, kills=found.kills[:2]),
    ):
        assert not wrong.good
        assert "BAD" in list(wrong.table())[-1]


def test_what_is_lost_twice_or_not_named_is_seen_in_the_folder(
    killed: tuple[Place, Report], tmp_path: Path
) -> None:
    """A receipt that goes, one that is written again, and a failure that the summary forgets."""
    place, found = killed
    copy = Place(place.inputs, Path(shutil.copytree(place.results, tmp_path / "out")))
    before = copy.written()
    assert written_again(before, copy.written()) == set()
    gone, again = (Path(name) for name in sorted(before)[:2])
    again.write_bytes(again.read_bytes())
    assert written_again(before, copy.written()) == {str(again)}
    gone.unlink()
    summary = json.loads((copy.results / "summary.json").read_text("utf-8"))
    forgotten = summary["failed"].pop()["source"]
    (copy.results / "summary.json").write_text(json.dumps(summary), "utf-8")
    fresh = replace(found, missing=[], errors=Counter(), unnamed=[])
    seen = counted(copy, fresh)
    assert [Path(name).name for name in seen.missing] == [gone.name.removesuffix(".json")]
    assert seen.unnamed == [forgotten]


def test_a_copy_is_the_same_document_in_other_bytes(tmp_path: Path) -> None:
    """Of every type that there is a sample of, and no two files of a folder are the same."""
    samples = real(OFFICE.parent, 100_000)
    assert {suffix for suffix, _ in samples} & set(TYPES) >= {".docx", ".odt", ".html", ".txt"}
    for document in samples:
        copies = {changed(document, number)[1] for number in (1, 2, 3)}
        assert len(copies | {document[1]}) == 4
    enemies = fill(tmp_path, samples, files=200, seed=1)
    contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert (len(contents), enemies) == (200, 10)
    assert len(set(filter(None, contents))) == sum(map(bool, contents))


def test_a_folder_without_documents_is_said_so(tmp_path: Path) -> None:
    """With what to name instead."""
    with pytest.raises(SettingsError, match="--most-bytes"):
        real(tmp_path, 100)
