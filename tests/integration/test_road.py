"""The whole road through the one origin of a real process: upload, results, review, export."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest

from infra.servers.ports import free_port
from tests.bench.pages import pdf_of
from tests.integration import docs_curl
from tests.support import ROOT, require
from tests.support.embedded import Embedded
from tests.support.samples import contract, report

SECONDS = 120.0
README = (ROOT / "README.md").read_text("utf-8")


class Suite(httpx.Client):
    def __init__(self, url: str, key: str) -> None:
        super().__init__(
            base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False
        )

    def upload(self, name: str, data: bytes, kind: str | None = None) -> str:
        answer = self.post(
            "/v1/documents", files={"file": (name, data)}, data={"kind": kind} if kind else {}
        )
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["id"])

    def ended(self, document: str) -> Any:
        """The document, once it has ended."""
        return _until(
            lambda: self.get(f"/v1/documents/{document}").json(), lambda d: d["state"] == "ended"
        )

    def items(self, document: str, number: int) -> Any:
        """The items of a document for review, once there are so many."""
        path = f"/v1/items?document={document}&state=all"
        return _until(lambda: self.get(path).json()["items"], lambda found: len(found) >= number)


def _until(ask: Callable[[], Any], true: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + SECONDS
    while not true(found := ask()):
        assert time.monotonic() < end, f"waited in vain: {found}"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    process = Embedded(tmp_path_factory.mktemp("embedded"))
    yield process
    assert process.end() == 0, process.tail()


@pytest.fixture(scope="module")
def suite(process: Embedded) -> Iterator[Suite]:
    line = process.start()
    assert line["url"] == process.url
    with Suite(process.url, line["key"]) as suite:
        yield suite


@pytest.mark.slow
def test_a_contract_goes_the_whole_road(suite: Suite) -> None:
    data = contract(1)
    answer = suite.post(
        "/v1/documents", files={"file": ("services.txt", data)}, data={"kind": "contract"}
    )
    assert answer.status_code == 202
    document = answer.json()["id"]
    assert answer.headers["location"].endswith(f"/v1/documents/{document}")

    ended = suite.ended(document)
    assert (ended["outcome"], ended["reasons"]) == ("complete", [])
    assert (ended["pages"], ended["failed_pages"], ended["kind"]) == (1, [], "contract")

    text = suite.get(f"/v1/documents/{document}/text")
    assert text.content == data
    clauses = suite.get(f"/v1/documents/{document}/clauses").json()["items"]
    assert clauses
    for clause in clauses:
        assert text.text[clause["start"] : clause["end"]] == clause["text"]
        assert 0 < clause["confidence"] < 1
        assert clause["page"] == 1

    items = suite.items(document, len(clauses))
    assert sorted(i["result_id"] for i in items) == sorted(c["id"] for c in clauses)
    urgencies = [item["urgency"] for item in items]
    assert urgencies == sorted(urgencies, reverse=True)
    claimed = suite.post("/v1/items/claim", json={"item": items[0]["id"]})
    assert claimed.json()["lease"]["holder"] == "owner"
    decided = suite.post("/v1/decisions", json={"item": items[0]["id"], "verdict": "accept"})
    assert decided.status_code == 201, decided.text
    assert decided.json()["decision"]["actor"] == "owner"

    exported = {
        form: suite.get(f"/v1/exports?format={form}&state=decided&document={document}").content
        for form in ("jsonl", "csv", "xlsx")
    }
    (line,) = [json.loads(row) for row in exported["jsonl"].splitlines()]
    assert line["text"] == items[0]["text"]
    rows = list(csv.reader(io.StringIO(exported["csv"].decode("utf-8-sig"))))
    assert len(rows) == 2
    sheet = openpyxl.load_workbook(io.BytesIO(exported["xlsx"])).active
    assert sheet is not None
    assert sheet.max_row >= 2


def test_the_python_of_the_readme_runs_as_printed(suite: Suite, tmp_path: Path) -> None:
    (example,) = re.findall(
        r"```python\n(import os\n\nimport smallprint\n.*?)```", README, re.DOTALL
    )
    example = example.replace("http://127.0.0.1:8400", str(suite.base_url).rstrip("/"))
    (tmp_path / "lease.pdf").write_bytes(pdf_of(contract(7).decode()))
    key = suite.headers["authorization"].removeprefix("Bearer ")
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=os.environ | {"SMALLPRINT_KEY": key},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stderr == ""
    outcome, *lines = done.stdout.splitlines()
    assert outcome == "complete"
    (document,) = suite.get("/v1/documents?limit=1").json()["items"]
    assert document["name"] == "lease.pdf"
    clauses = suite.get(f"/v1/documents/{document['id']}/clauses").json()["items"]
    assert clauses
    for clause in clauses:
        assert any(line.startswith(f"1 {clause['category']} ") for line in lines)


def test_one_openapi_document_has_the_routes_of_every_service(suite: Suite) -> None:
    routes = {"/v1/documents", "/v1/watch", "/v1/reports", "/v1/items", "/v1/costs", "/livez"}
    assert routes <= set(suite.get("/openapi.json").json()["paths"])


@pytest.mark.needs("curl")
@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/tutorials/first-contract.md",
        "docs/tutorials/first-report.md",
        "docs/tutorials/first-review.md",
    ],
)
def test_the_curl_of_a_page_runs_as_printed(suite: Suite, page: str) -> None:
    """Every command is answered, and every list that it gets has an entry."""
    require(shutil.which("curl") is not None, "curl")
    variables = {"KEY": suite.headers["authorization"].removeprefix("Bearer ")}
    commands = docs_curl.commands(page)
    assert commands
    if page.endswith("review.md"):  # it goes on where the other tutorials end
        document = suite.upload("services-31.txt", contract(31), "contract")
        suite.ended(document)
        suite.items(document, 1)
    for command in commands:
        command = re.sub(r"/ID\b", "/$ID", command)
        status, body = docs_curl.run(command, str(suite.base_url).rstrip("/"), **variables)
        assert 200 <= status < 300, (command, body)
        if "/exports" in command:
            continue
        answer = json.loads(body)
        assert answer.get("items", [True]), (command, body)
        if "-F file=@" in command:
            variables["ID"] = suite.ended(answer["id"])["id"]
        if "/claim" in command:
            variables["ITEM"] = answer["id"]


def test_a_wrong_kind_is_changed_everywhere_and_back(suite: Suite) -> None:
    """Its text made it a contract; as a report it has no clauses, and later the same ones again."""
    document = suite.upload("services-12.txt", contract(12))
    before = suite.ended(document)
    assert (before["kind"], before["kind_source"], before["outcome"]) == (
        "contract",
        "type",
        "complete",
    )
    path = f"/v1/documents/{document}"
    clauses = suite.get(f"{path}/clauses").json()["items"]
    suite.items(document, len(clauses))

    assert suite.put(f"{path}/kind", json={"kind": "report"}).json()["attempt"] == 2
    assert suite.ended(document)["outcome"] == "failed"  # it is no table of figures
    _until(lambda: suite.get(f"{path}/clauses").status_code, lambda status: status == 409)
    _until(
        lambda: suite.get(f"/v1/items?document={document}&state=all").json()["items"],
        lambda items: not items,
    )

    suite.put(f"{path}/kind", json={"kind": "contract"}).raise_for_status()
    assert suite.ended(document)["outcome"] == "complete"
    assert suite.get(f"{path}/clauses").json()["items"] == clauses
    assert len(suite.items(document, len(clauses))) == len(clauses)


def test_a_report_goes_the_whole_road(suite: Suite) -> None:
    document = suite.upload("acme.json", report("acme-1"), "report")
    assert suite.ended(document)["outcome"] == "complete"
    findings = suite.get(f"/v1/documents/{document}/findings").json()["items"]
    assert findings
    assert "Total assets" in json.dumps(findings)
    (item, *_) = suite.items(document, len(findings))
    assert item["kind"] == "finding"
    suite.post("/v1/items/claim", json={"item": item["id"]})
    decided = suite.post("/v1/decisions", json={"item": item["id"], "verdict": "reject"})
    assert decided.status_code == 201, decided.text


def test_tenants_do_not_see_each_other(suite: Suite, process: Embedded) -> None:
    document = suite.upload("ours.txt", contract(5), "contract")
    suite.ended(document)
    suite.items(document, 1)
    command = [sys.executable, "-m", "services.cli", "keys", "new", "eve", "--tenant", "rivals"]
    made = subprocess.run(
        [*command, "--data", str(process.data)], cwd=ROOT, capture_output=True, text=True
    )
    with Suite(str(suite.base_url), made.stdout.strip()) as rival:
        assert rival.get("/v1/documents").json()["items"] == []
        assert rival.get("/v1/items?state=all").json()["items"] == []
        for path in ("", "/text", "/original", "/clauses", "/findings"):
            assert rival.get(f"/v1/documents/{document}{path}").status_code == 404, path
        assert rival.delete(f"/v1/documents/{document}").status_code == 404
        theirs = rival.upload("theirs.txt", contract(5), "contract")
    assert theirs != document
    assert suite.get(f"/v1/documents/{document}").status_code == 200


def test_a_key_dies_when_it_is_revoked(suite: Suite) -> None:
    made = suite.post("/v1/keys", json={"name": "leaver"}).json()
    with Suite(str(suite.base_url), made["secret"]) as leaver:
        for path in ("/v1/documents", "/v1/items", "/v1/keys/self"):
            assert leaver.get(path).status_code == 200
        assert suite.delete(f"/v1/keys/{made['id']}").status_code == 204
        for path in ("/v1/documents", "/v1/items", "/v1/keys/self"):
            assert leaver.get(path).status_code == 401


def test_the_origin_answers_for_all(suite: Suite) -> None:
    assert suite.get("/livez").json() == {"status": "ok"}
    assert suite.get("/readyz").json() == {"status": "ok"}
    assert suite.get("/version").json()["service"] == "smallprint"
    measured = suite.get("/metrics").text
    assert 'smallprint_stage_seconds_count{service="extraction"' in measured
    for service in ("ingest", "extraction", "triage", "review", "escalation"):
        schema = suite.get(f"/openapi/{service}.json").json()
        assert schema["info"]["title"] == f"smallprint {service}"
    page = httpx.get(f"{suite.base_url}", trust_env=False)
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]


def test_without_a_key_nothing_is_shown(suite: Suite) -> None:
    for path in ("documents", "items", "decisions", "exports", "costs", "documents/doc_1/clauses"):
        answer = httpx.get(f"{suite.base_url}/v1/{path}", trust_env=False)
        assert answer.status_code == 401, path


def test_a_second_process_on_the_folder_is_refused(suite: Suite, process: Embedded) -> None:
    second = Embedded(process.folder)
    second.data = process.data
    second.log = process.folder / "second.log"
    second.launch()
    assert second.process is not None
    out, _ = second.process.communicate(timeout=300)
    assert (second.process.returncode, out) == (2, "")
    assert process.process is not None
    assert f"process {process.process.pid} uses the data folder" in second.tail()
    assert suite.get("/livez").status_code == 200


@pytest.mark.slow
def test_a_taken_port_is_a_sentence(tmp_path_factory: pytest.TempPathFactory, suite: Suite) -> None:
    other = Embedded(tmp_path_factory.mktemp("other"))
    other.port = suite.base_url.port or free_port()
    other.launch()
    assert other.process is not None
    out, _ = other.process.communicate(timeout=300)
    assert (other.process.returncode, out) == (2, "")
    assert "can't listen on" in other.tail()
    assert "Traceback" not in other.tail(50)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_calmly_and_starts_again(
    tmp_path_factory: pytest.TempPathFactory, number: signal.Signals
) -> None:
    process = Embedded(tmp_path_factory.mktemp("again"))
    key = process.start()["key"]
    with Suite(process.url, key) as suite:
        document = suite.upload("a.txt", contract(6), "contract")
    assert process.end(number) == 0, process.tail()
    assert "Traceback" not in process.log.read_text()
    assert "stopped; unfinished work continues at the next start" in process.tail()
    line = process.start()
    assert "key" not in line, "the first key is shown only once"
    try:
        with Suite(process.url, key) as suite:
            assert suite.ended(document)["outcome"] == "complete"
    finally:
        assert process.end(number) == 0
