"""The `curl` of README and tutorials, as printed."""

from __future__ import annotations

import os
import re
import subprocess

from tests.support import ROOT

ADDRESS = "http://127.0.0.1:8400"
_SHELL = """curl() {
    command curl -sS --noproxy '*' --max-time 60 -w '\\n%{http_code}' "$@"
}
"""


def commands(page: str) -> list[str]:
    return re.findall(r"^curl .*$", (ROOT / page).read_text("utf-8"), re.MULTILINE)


def run(command: str, url: str, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", _SHELL + command.replace(ADDRESS, url)],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    body, _, status = done.stdout.rpartition("\n")
    assert status.isdecimal(), (command, done.stderr)
    return int(status), body
