"""Standard output, standard error and exit code of `smallprint teach`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.builders import Run
from tests.unit.extraction.teaching.made import NAME, file_of, records


@pytest.fixture
def run(run: Run, monkeypatch: pytest.MonkeyPatch, artefacts: Path, tmp_path: Path) -> Run:
    monkeypatch.setenv("SMALLPRINT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(artefacts))
    return run


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    path = tmp_path / "examples.jsonl"
    path.write_bytes(file_of(records()))
    return path


@pytest.mark.slow
def test_taught_used_listed_and_removed(run: Run, examples: Path, tmp_path: Path) -> None:
    code, out, err = run("teach", NAME, examples, "--json")
    report = json.loads(out)
    assert (code, report["source"], report["name"]) == (0, str(examples), NAME)
    assert Path(report["folder"]) == tmp_path / "data" / "adapters" / NAME / "1.0.0"
    assert "reading the examples" in err

    contract = tmp_path / "contract.txt"
    contract.write_text("1. Notices. All notices shall be in writing.\n\n" + records()[0]["text"])
    code, out, _ = run("extract", contract, "--adapter", NAME, "--json")
    line = json.loads(out)
    assert code == 0
    assert [clause["category"] for clause in line["clauses"]] == [NAME]
    assert line["model"]["adapter"] == NAME
    assert [one["category"] for one in line["presence"]] == [NAME]

    _, out, _ = run("extract", "--help")
    assert NAME in out.split("Installed:")[1]
    code, out, _ = run("doctor", "--json")
    assert f"{NAME} 1.0.0, 1 label, hashes agree" in out

    code, out, _ = run("teach", "list", "--json")
    assert json.loads(out)["f1"] == report["f1"]["value"]
    code, out, err = run("teach", "remove", NAME)
    assert (code, out, err) == (0, "", f"{NAME} is removed\n")
    assert run("teach", "list")[1] == ""
    code, _, err = run("extract", contract, "--adapter", NAME)
    assert code == 2
    assert "Installed: contract-clauses" in err


@pytest.mark.slow
def test_the_command_prints_the_figures_and_the_next_step(run: Run, examples: Path) -> None:
    code, out, _ = run("teach", NAME, examples)
    assert code == 0
    assert "On held-out examples (5 folds), with 95% intervals:" in out
    assert "ore examples" in out
    assert f"smallprint extract PATH --adapter {NAME}" in out.splitlines()[-1]


@pytest.mark.slow
def test_an_adapter_for_another_base_is_named_by_doctor(
    run: Run, examples: Path, tmp_path: Path
) -> None:
    run("teach", NAME, examples)
    manifest = tmp_path / "data" / "adapters" / NAME / "1.0.0" / "manifest.json"
    values = json.loads(manifest.read_text("utf-8"))
    manifest.write_text(json.dumps(values | {"base_sha256": "f" * 64}), "utf-8")
    _, out, _ = run("doctor", "--json")
    (found,) = [json.loads(line) for line in out.splitlines()]
    wrong = [check for check in found["checks"] if check["name"] == "adapter" and check["mend"]]
    assert [check["state"] for check in wrong] == ["wrong"]
    assert f"smallprint teach {NAME} EXAMPLES --replace" in wrong[0]["mend"]
    assert any(check["name"] == "probe" and check["state"] == "good" for check in found["checks"])


@pytest.mark.parametrize("arguments", [[NAME], ["--replace", NAME], ["remove"], ["list", NAME]])
def test_missing_and_additional_arguments_are_refused(run: Run, arguments: list[str]) -> None:
    code, out, err = run("teach", *arguments)
    assert (code, out) == (64, "")
    assert "Usage: smallprint teach" in err


def test_a_fault_of_the_examples_is_one_sentence(run: Run, examples: Path) -> None:
    lines = examples.read_text("utf-8").splitlines()
    examples.write_text("\n".join([*lines[:6], "nonsense", *lines[6:]]), "utf-8")
    code, out, err = run("teach", NAME, examples)
    assert (code, out) == (2, "")
    assert err.startswith(f"smallprint: {examples} line 7: not JSON")
    assert len(err.splitlines()) == 1
    code, out, _ = run("teach", NAME, examples, "--json")
    assert (code, json.loads(out)["error"]["type"]) == (2, "bad_examples")


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    code, out, err = run("teach", NAME, tmp_path / "none.jsonl")
    assert (code, out) == (2, "")
    assert err == f"smallprint: {tmp_path / 'none.jsonl'}: there is no such file\n"
    assert not (tmp_path / "data").exists()


def test_a_missing_base_names_the_next_step(run: Run, examples: Path, tmp_path: Path) -> None:
    code, _, err = run("teach", NAME, examples, SMALLPRINT_ARTEFACTS=tmp_path / "nothing")
    assert code == 2
    assert "SMALLPRINT_ARTEFACTS" in err
