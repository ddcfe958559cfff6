"""`smallprint demo`, from its start to Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support import ROOT


@pytest.mark.slow
def test_the_demo_shows_the_error_and_leaves_nothing(tmp_path: Path) -> None:
    settings = {k: v for k, v in os.environ.items() if not k.startswith("SMALLPRINT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "demo", "--port", "0"],
        cwd=ROOT,
        env={**settings, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C ends the demo" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1] or len(lines) == 1, f"it ended early: {lines}"
        report = next(line for line in lines if line.startswith("Halden Tools annual report.pdf"))
        assert re.search(r"report +1 finding, risk (1\.00|0\.9\d)", report)
        assert any(line.startswith("'Total current assets' (2024-12-31) is ") for line in lines)
        assert sum("clauses, law of" in line for line in lines) >= 3
        link = re.search(r"(http://[^/]+)/review\?item=(\w+)#sign-in=(\w+)", "".join(lines))
        assert link is not None
        with httpx.Client(base_url=link[1], trust_env=False) as browser:
            page = browser.get(f"/review?item={link[2]}")
            assert page.headers["content-type"].startswith("text/html")
            browser.post("/v1/session", json={"key": link[3]}).raise_for_status()
            assert browser.get(f"/v1/items/{link[2]}").json()["kind"] == "finding"
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    finally:
        process.kill()
    assert not list(tmp_path.glob("smallprint-demo-*"))
