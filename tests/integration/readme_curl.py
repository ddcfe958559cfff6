"""The README's `curl`, as printed: what it shows in blocks, and the rows of its table."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from infra.bench.pages import pdf_of
from tests.samples import contract, mail, report
from tests.support import ROOT
from tests.unit.triage.reading import samples

README = (ROOT / "README.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8400"
_SHELL = """curl() {
    command curl -sS --noproxy '*' --max-time ${SECONDS_AT_MOST} -w '\\n%{http_code}' "$@"
}
"""


def blocks() -> list[str]:
    """Every command of a block, in order; lines that a backslash joins are one."""
    return re.findall(r"^curl (?:.*\\\n)*.*$", README, re.MULTILINE)


def rows() -> list[str]:
    """The commands of the table that is "always with the same" key, without that."""
    _, _, rest = README.partition("More with `curl`, always with the same")
    table = rest.partition("| --- | --- |\n")[2].partition("\n\n")[0]
    codes = re.findall(r"`([^`]*…/v1/[^`]*)`", table)
    return [code for code in codes if code != "…/v1/uploads"]  # for clients of tus


def files(folder: Path) -> None:
    """What the commands upload."""
    lease = pdf_of(contract(21).decode())
    for number, name in enumerate(("lease", "a", "b"), 21):
        (folder / f"{name}.pdf").write_bytes(pdf_of(contract(number).decode()))
    (folder / "lease.eml").write_bytes(mail("A lease", {"lease.pdf": lease}))
    (folder / "10-k.html").write_bytes(samples.html())
    (folder / "filing.json").write_bytes(report("of-the-readme"))
    (folder / "terms.html").write_text(f"<p>{contract(24).decode()}</p>")


def run(command: str, url: str, key: str, folder: Path) -> tuple[int, str]:
    """Status and body of the answer to one command, as a shell runs it."""
    command = command.replace(ADDRESS, url).replace("…/v1/", f"{url}/v1/")
    done = subprocess.run(
        ["bash", "-c", _SHELL + command],
        cwd=folder,
        env=os.environ | {"KEY": key, "SECONDS_AT_MOST": "2" if " -N " in command else "60"},
        capture_output=True,
        text=True,
        check=False,
    )
    body, _, status = done.stdout.rpartition("\n")
    assert status.isdecimal(), (command, done.stderr)
    return int(status), body
