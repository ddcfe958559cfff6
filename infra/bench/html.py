"""Measures what parses HTML: processor time, memory, and what depth costs.

    SMALLPRINT_TEST_DATA=FOLDER python -m infra.bench.html

Each parser meets ten megabytes of real filings and a hundred thousand nested elements of three
kinds, in a process of its own, with a receiver that does nothing; then ours reads every filing.
selectolax is measured where it is installed. Decision: infra/decisions/0012-office-documents.md.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

PARSERS = ("lxml, reporting", "lxml, tree", "selectolax", "html.parser")
DEPTH = 100_000
PATIENCE = 60.0  # seconds of processor time
WORK: dict[str, Callable[[], bytes]] = {
    "10 MB": lambda: b"".join(sorted(filings().values(), key=len)[-3:]),
    "<div>": lambda: b"<div>" * DEPTH,
    "<ul><li>": lambda: b"<ul><li>" * DEPTH,
    "<font a=n>": lambda: b"".join(b"<font a=%d>" % number for number in range(DEPTH)),
}


def filings() -> dict[str, bytes]:
    """Every HTML filing of the data folder by its name."""
    folder = Path(os.environ["SMALLPRINT_TEST_DATA"]) / "finance" / "raw" / "html"
    return {path.name: gzip.decompress(path.read_bytes()) for path in sorted(folder.glob("*.htm*"))}


class _Nothing:
    """A receiver for lxml that does nothing."""

    def start(self, tag: str, attributes: object) -> None:
        """An element."""

    def end(self, tag: str) -> None:
        """Its end."""

    def data(self, text: str) -> None:
        """Text."""

    def close(self) -> None:
        """The end."""


def parse(parser: str, data: bytes) -> None:
    """Once through the document."""
    if parser == "html.parser":
        standard = HTMLParser()
        standard.feed(data.decode("utf-8", "replace"))
        standard.close()
    elif parser == "selectolax":
        tree = importlib.import_module("selectolax.lexbor").LexborHTMLParser(data)
        for node in tree.root.traverse(include_text=True):
            _ = node.text_content if node.is_text_node else node.tag
    else:
        etree: Any = importlib.import_module("lxml.etree")
        target = {"target": _Nothing()} if parser.endswith("reporting") else {}
        reader = etree.HTMLParser(huge_tree=True, **target)
        reader.feed(data)
        root = reader.close()
        for _, element in etree.iterwalk(root, ("start", "end")) if root is not None else ():
            _ = (element.tag, element.text, element.tail)


def measure(parser: str, work: str) -> None:
    """Print seconds of processor time and megabytes of memory, in a process of its own."""
    data = WORK[work]()
    resource.setrlimit(resource.RLIMIT_CPU, (int(PATIENCE), int(PATIENCE) + 1))
    parse(parser, b"<p>first")
    began = time.process_time()
    parse(parser, data)
    seconds = time.process_time() - began
    print(f"{seconds:.2f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def _measured(parser: str, work: str) -> str:
    if parser == "selectolax" and importlib.util.find_spec("selectolax") is None:
        return "not installed"
    command = [sys.executable, "-m", "infra.bench.html", parser, work]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        wrong = done.stderr.strip().splitlines()
        return wrong[-1] if wrong else f"over {PATIENCE:g} s"
    return done.stdout.strip()


def main() -> None:
    """The table of parsers, and how long ours takes for every filing."""
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
        return
    from shared.documents import read

    print(f"| parser | {' | '.join(WORK)} |\n| --- |{' ---: |' * len(WORK)}")
    for parser in PARSERS:
        print(f"| {parser} | {' | '.join(_measured(parser, work) for work in WORK)} |", flush=True)
    began, found = time.process_time(), filings()
    for name, data in found.items():
        read(data, name=name)
    seconds = time.process_time() - began
    size = sum(map(len, found.values())) / 1e6
    print(f"\nours: {len(found)} filings, {size:.1f} MB, in {seconds:.1f} s of processor time")


if __name__ == "__main__":
    main()
