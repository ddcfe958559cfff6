"""What the README promises exists: commands, targets, settings, files."""

import io
import json
import os
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import httpx
import pytest

from infra.ports import free_port
from infra.settings import FILE, classes, rendered
from infra.stand_in.server import FAULTS
from services.escalation.policy import read_policies
from services.triage.judgement import triage_filing
from services.triage.statements import Filing, read_filings
from shared.settings import PREFIX
from tests.support import ROOT
from tests.unit.webhooks.hooks import Hooks

README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_the_page_of_all_settings_is_fresh() -> None:
    """A changed setting needs `make schemas` in the same commit."""
    assert len(classes()) == 7
    assert FILE.read_text("utf-8") == rendered(), "stale: run `make schemas`"


def test_settings_in_the_readme_exist() -> None:
    """No name in the table is misspelt or gone."""
    known = {PREFIX + field.upper() for c in classes().values() for field in c.model_fields}
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", README))
    of_commands = {f"{PREFIX}PASSWORD", f"{PREFIX}KEY"}
    named -= {f"{PREFIX}TEST_DATA", *of_commands}
    assert len(named) >= 8
    assert not named - known


def test_make_targets_in_the_readme_exist() -> None:
    """Every `make …` that the README names is in the Makefile, and has a line of help."""
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)\b(?=[`\n])", README))
    assert len(named) >= 5
    assert not named - _targets()


def test_options_of_make_run_are_in_the_readme() -> None:
    """Whatever its line of help names."""
    told = re.search(r"^run: .*## .*\((.*)\)", MAKEFILE, re.MULTILINE)
    assert told
    names = re.findall(r"([A-Z]+)=", told[1])
    assert names == ["PORT", "DATA"]
    assert [name for name in names if f"`make run {name}=" not in README] == []


def test_a_changed_policy_is_said_to_leave_the_queue_as_it_is() -> None:
    """Who changes it and looks at the queue sees the old one's routes until `reprocess`."""
    versions = README[README.index("**Versions.**") :]
    assert "keep what the old one made of them until" in versions[: versions.index("\n## ")]


def test_make_alone_prints_every_target() -> None:
    """The Makefile is the table of contents, grouped by purpose."""
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = set(re.findall(r"make ([a-z-]+) ", shown))
    assert listed == _targets()
    assert len(re.findall(r"^\S*(?:Use|Check|Develop)\S*$", shown, re.MULTILINE)) == 3


def test_no_target_is_a_file() -> None:
    """Each is listed as phony, so that a file or folder of its name can't keep it from running."""
    listed = MAKEFILE.replace("\\\n", " ").partition(".PHONY:")[2].split()
    assert sorted(listed) == sorted(_targets())


def _dry(target: str, *given: str, **told: str) -> list[str]:
    """The commands of a target, as make would run them."""
    env = {name: value for name, value in os.environ.items() if name != f"{PREFIX}TEST_DATA"}
    made = ["make", "--dry-run", "--no-print-directory", target, *given]
    said = subprocess.run(made, cwd=ROOT, env=env | told, capture_output=True, text=True)
    return said.stdout.splitlines()


def test_a_forest_made_anew_comes_with_what_it_promises() -> None:
    """The calibration set is made of the predictions, after them, or nothing could be promised."""
    made = [re.search(r"-m (\S+)", line) for line in _dry("triage-breaks", "SOURCES=/data")]
    programs = [found.group(1) for found in made if found]
    assert programs[0] == "models.triage"
    assert {"models.triage.scores", "models.triage.guarantee"} < set(programs[1:])


def test_the_bench_of_triage_takes_the_data_that_is_named() -> None:
    """By the variable that tests read, or by SOURCES, which counts more."""
    data = f"{PREFIX}TEST_DATA"
    for given, told, where in (
        ((), {}, ""),
        ((), {data: "/told"}, "/told"),
        (("SOURCES=/given",), {data: "/told"}, "/given"),
    ):
        assert f'{data}="{where}"' in _dry("bench-triage", *given, **told)[-1]


def test_make_run_keeps_its_data_where_the_setting_says() -> None:
    """The variable that the README names first counts for `make run` as well."""
    for told, where in (({}, "var/data"), ({"SMALLPRINT_DATA": "/elsewhere"}, "/elsewhere")):
        env = {name: value for name, value in os.environ.items() if name != "SMALLPRINT_DATA"}
        made = ["make", "--dry-run", "--no-print-directory", "run"]
        said = subprocess.run(made, cwd=ROOT, env=env | told, capture_output=True, text=True)
        assert said.stdout.splitlines()[-1].endswith(f"--data {where}"), said.stderr


def test_commands_in_the_readme_exist() -> None:
    """Every `smallprint …` command that the README names is one."""
    from services.cli import cli

    named = set(re.findall(r"(?:^|`)smallprint ([a-z]+) ", README, re.MULTILINE))
    assert len(named) >= 6
    assert not named - set(cli.commands)


def test_files_that_the_readme_links_exist() -> None:
    """No link leads nowhere."""
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) >= 4
    assert not [link for link in links if not (ROOT / link).exists()]


@pytest.mark.parametrize(
    ("fence", "media_type"), [("json", "application/json"), ("csv", "text/csv")]
)
def test_the_reports_in_the_readme_can_be_uploaded(fence: str, media_type: str) -> None:
    """Both examples are read without a warning, and have the one finding that is told of them."""
    (example,) = re.findall(rf"```{fence}\n(.*?)```", README, re.DOTALL)
    (filing,) = read_filings(io.BytesIO(example.encode()), media_type, f"filing.{fence}")
    assert isinstance(filing, Filing)
    assert not filing.warnings
    (finding,) = triage_filing(filing).findings
    assert finding.check == "balance_equation"
    assert "two neighbouring digits are exchanged" in finding.message


def test_addresses_in_the_readme_are_served() -> None:
    """Every path below /v1 that the README names is in some service's description."""
    served = {
        re.sub("{.*?}", "ID", path)
        for file in ROOT.glob("services/*/openapi.json")
        for path in json.loads(file.read_text("utf-8"))["paths"]
    }
    named = set(re.findall(r"/v1/[a-zA-Z/-]+", README))
    assert len(named) >= 5
    assert not named - served


def test_the_stand_in_of_the_readme_prints_an_entry_of_the_policy(tmp_path: Path) -> None:
    """As printed, the commands start it, and the policy takes what they print."""
    (commands,) = (b for b in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "stand_in" in b)
    assert ".venv/bin/python -m infra.stand_in" in commands
    started = commands.replace(".venv/bin/python", f"exec {sys.executable}").rstrip() + " --port 0"
    stand_in = subprocess.Popen(
        ["bash", "-ec", started],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert stand_in.stdout is not None
        entry = list(takewhile(str.strip, (stand_in.stdout.readline() for _ in range(6))))
        tenant = ["[tenants.default]\n", 'providers = ["stand-in"]\n']
        (tmp_path / "policy.toml").write_text("".join([*entry, *tenant]))
        (provider,) = read_policies(tmp_path / "policy.toml").of("default").providers
        assert provider.stand_in
    finally:
        stand_in.kill()
        stand_in.communicate()


def test_the_readme_names_all_that_the_stand_in_gets_wrong() -> None:
    """Its options, each of which has a line of help, and every kind of fault."""
    told = subprocess.run(
        [sys.executable, "-m", "infra.stand_in", "--help"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    options = re.findall(r"^  (--[a-z]+) [A-Z=]+ *(.*)(?:\n {8,}(.*))?", told, re.MULTILINE)
    assert [name for name, *said in options if not any(said)] == []
    (about,) = (part for part in README.split("\n\n") if part.startswith("With `--errors"))
    wanted = [*FAULTS[1:], "--errors", "--fault", "--seed"]
    assert [one for one in wanted if f"`{one}" not in about] == []
    assert {name for name, *_ in options} >= {"--errors", "--fault", "--seed"}


def test_programs_in_the_readme_know_the_options_that_it_gives_them() -> None:
    """Every program that is started with the interpreter of `make setup` says so in its help."""
    started = re.findall(r"^\.venv/bin/python -m (\S+)(.*)$", README, re.MULTILINE)
    assert len(started) >= 2
    for module, given in started:
        told = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert told.returncode == 0, told.stderr
        assert not [one for one in re.findall(r"--[a-z-]+", given) if one not in told.stdout]


def test_what_the_readme_says_of_a_stated_risk_was_measured() -> None:
    """A third of what is found at 5%, more than half at 10%, and nothing at 1%."""
    told = json.loads((ROOT / "models/contract-clauses/guarantee.json").read_text("utf-8"))
    accepted = {one["max_wrong"]: one["accepted"] / told["shown"] for one in told["promises"]}
    assert "at 5%\na third of what is found, at 10% more than half." in README
    assert accepted[0.05] == pytest.approx(1 / 3, abs=0.03)
    assert accepted[0.1] > 0.5
    assert accepted[0.01] == 0


def test_the_receiver_in_the_readme_verifies_what_it_is_sent(tmp_path: Path) -> None:
    """As printed, it takes a real message and refuses a forged one."""
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (example,) = (one for one in examples if "class Receiver" in one)
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    hooks = Hooks(tmp_path)
    made = hooks.register(url)
    env = {**os.environ, "WEBHOOK_SECRET": made["secret"], "PORT": str(port)}
    receiver = subprocess.Popen(
        [sys.executable, "-c", example], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        document = hooks.accepted(b"A poem.", "poem.txt", kind="other")
        while hooks.states(made["id"]) != ["delivered"]:  # it may not listen yet
            assert receiver.poll() is None
            hooks.let_time_pass()
            hooks.send()
        (delivery,) = hooks.log(made["id"])
        assert receiver.stdout is not None
        line = receiver.stdout.readline().decode()
        assert line.startswith(f"{delivery['message_id']} document.ended ")
        assert document in line
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": "1",
            "webhook-signature": "v1,bm90IG91cnM=",
        }
        answer = httpx.post(url, content=b"{}", headers=headers, trust_env=False)
        assert answer.status_code == 401
    finally:
        receiver.kill()
        receiver.communicate()
        hooks.close()
