"""Make the pictures of the documentation: the review pages and the architecture.

`make pictures` runs it. It starts the embedded edition on an empty folder, uploads the examples of
the tutorials, and takes screenshots with the system's Chromium. The architecture is drawn from
`openapi.json` of each service and from `asyncapi.json`.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image

from infra.servers.ports import free_port
from shared.client import Client

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs/tutorials/examples"
IMAGES = ROOT / "docs/images"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
COLOURS = 256
PATIENCE = 120_000  # milliseconds that a page may take
SERVICES = {
    "ingest": ("takes documents in,", "reads their text"),
    "extraction": ("finds clauses", "in contracts"),
    "triage": ("finds errors", "in reports"),
    "review": ("queue, decisions,", "pages, exports"),
    "escalation": ("asks a frontier model,", "if you allow it"),
}
WIDTH, MARGIN, GAP = 1000, 20, 16
INK, SOFT, LINE, FILL, BAND = "#1d2328", "#566068", "#4a6a70", "#ffffff", "#e3ecee"


@contextmanager
def running_suite(folder: Path) -> Iterator[tuple[str, str]]:
    """Run the embedded edition on a folder. Yields its address and its first key."""
    command = [sys.executable, "-m", "services.cli", "serve", "--json", "--port", str(free_port())]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SMALLPRINT_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data")],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        yield started["url"], started["key"]
    finally:
        process.terminate()
        process.wait()


def contract_pdf(text: str) -> bytes:
    """Print a text as a PDF: its first paragraph is the title."""
    from reportlab.lib.pagesizes import letter
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    body = ParagraphStyle("body", fontName="Times-Roman", fontSize=11.5, leading=16, spaceAfter=10)
    title = ParagraphStyle("title", parent=body, fontName="Times-Bold", fontSize=15, alignment=1)
    first, *others = text.strip().split("\n\n")
    story = [Paragraph(first, title), *(Paragraph(escape(one), body) for one in others)]
    file = io.BytesIO()
    SimpleDocTemplate(file, pagesize=letter, invariant=1).build(story)
    return file.getvalue()


def screenshot(page: Any, name: str) -> None:
    """Save the visible part of the page as a PNG of few colours."""
    shown = Image.open(io.BytesIO(page.screenshot()))
    path = IMAGES / f"{name}.png"
    shown.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def first_item(client: Client, document: str) -> str:
    """Wait until a document has items in the queue, and return the most urgent one."""
    for _ in range(600):
        for item in client.items(document=document):
            return item.id
        time.sleep(0.1)
    raise TimeoutError(f"{document} has no item in the queue")


def photograph() -> None:
    """Upload both examples and take a picture of an item of each in the review pages."""
    from playwright.sync_api import sync_playwright

    contract = contract_pdf((EXAMPLES / "supply-agreement.txt").read_text("utf-8"))
    with (
        tempfile.TemporaryDirectory() as folder,
        running_suite(Path(folder)) as (url, key),
        Client(url, key) as client,
        sync_playwright() as playwright,
    ):
        source = Path(folder) / "supply-agreement.pdf"
        source.write_bytes(contract)
        documents = {
            "review-clause": client.upload(source, kind="contract").id,
            "review-finding": client.upload(EXAMPLES / "balance-sheet.csv", kind="report").id,
        }
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_context(
            locale="en-GB", viewport={"width": 1280, "height": 800}
        ).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        for name, document in documents.items():
            client.wait(document)
            page.goto(f"{url}/review?item={first_item(client, document)}")
            page.locator("img, table").first.wait_for()
            page.wait_for_load_state("networkidle")
            screenshot(page, name)
        browser.close()


def paths_of(service: str) -> list[str]:
    """The paths of a service's collections, from its OpenAPI description."""
    description = json.loads((ROOT / f"services/{service}/openapi.json").read_text("utf-8"))
    found = set()
    for path in description["paths"]:
        if path.startswith("/v1/") and "/journal/" not in path:
            collection, *below = path.split("/")[2:]
            inside = collection == "documents" and service != "ingest"
            found.add(f"…/{below[1]}" if inside else f"/v1/{collection}")
    return sorted(found, key=lambda path: (path.startswith("/v1/"), path))


def events_of(service: str) -> list[str]:
    """The types of events that a service publishes, from AsyncAPI; failures are left out."""
    description = json.loads((ROOT / "shared/events/asyncapi.json").read_text("utf-8"))
    sent = description["operations"][f"{service}.send"]["messages"]
    types = [message["$ref"].rpartition("/")[2] for message in sent]
    return [name for name in types if name != "document.failed.v1"]


def box(x: float, y: float, width: float, height: float, fill: str = FILL) -> str:
    """One rectangle with round corners."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{fill}"'
        f' stroke="{LINE}"/>'
    )


def label(
    x: float, y: float, words: str, size: int = 12, ink: str = SOFT, weight: int = 400
) -> str:
    """A text, centred at x."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{ink}"'
        f' text-anchor="middle">{escape(words)}</text>'
    )


def arrow(x: float, top: float, bottom: float, *, both: bool = True) -> str:
    """A vertical line with a head at its lower end or at both."""
    start = ' marker-start="url(#head)"' if both else ""
    return f'<path d="M{x:g} {top:g}V{bottom:g}" stroke="{LINE}" marker-end="url(#head)"{start}/>'


def architecture() -> str:
    """Draw the clients, the proxy, the five services, and the servers below them as SVG."""
    middle, full = WIDTH / 2, WIDTH - 2 * MARGIN
    wide = (full - GAP * (len(SERVICES) - 1)) / len(SERVICES)
    lines = max(len(paths_of(name)) for name in SERVICES)
    top, tall = 150, 92 + 16 * lines
    drawn = [
        box(MARGIN, 16, full, 40),
        label(middle, 41, "browser  ·  command line  ·  Python client  ·  your programs", 14, INK),
        arrow(middle, 58, 82, both=False),
        box(MARGIN, 84, full, 40, BAND),
        label(
            middle, 109, "proxy: one address for all paths (… is /v1/documents/ID)", 14, INK, 600
        ),
    ]
    for number, (name, does) in enumerate(SERVICES.items()):
        x = MARGIN + number * (wide + GAP)
        centre = x + wide / 2
        drawn += [arrow(centre, 126, top - 2, both=False), box(x, top, wide, tall)]
        drawn.append(label(centre, top + 24, name, 16, INK, 600))
        drawn += [label(centre, top + 44 + 16 * at, words) for at, words in enumerate(does)]
        for at, path in enumerate(paths_of(name)):
            drawn.append(label(centre, top + 86 + 16 * at, path, 12, LINE))
        drawn += [box(x, top + tall + 8, wide, 28, BAND)]
        drawn.append(label(centre, top + tall + 27, "database, inbox, outbox", 12, INK))
        drawn.append(arrow(centre, top + tall + 38, top + tall + 56))
        for at, event in enumerate(events_of(name)):
            drawn.append(label(centre, top + tall + 122 + 16 * at, event, 12, LINE))
    deep = 62 + 16 * max(len(events_of(name)) for name in SERVICES)
    under = top + tall + 58
    drawn.insert(0, box(MARGIN, under, full, deep, FILL))
    title = (
        "event transport: SQLite or Kafka. Each service publishes these events, all can receive:"
    )
    drawn.append(label(middle, under + 28, title, 14, INK, 600))
    last = under + deep + 12
    drawn += [
        box(MARGIN, last, full, 36, BAND),
        label(middle, last + 23, "documents, texts and results: files or S3", 14, INK, 600),
    ]
    height = last + 52
    head = (
        f'<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        f' orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker>'
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}"'
            ' font-family="system-ui, sans-serif" role="img" aria-label="Architecture">',
            f"<defs>{head}</defs>",
            f'<rect width="{WIDTH}" height="{height:g}" fill="#ffffff"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def draw() -> None:
    """Write the picture of the architecture."""
    path = IMAGES / "architecture.svg"
    path.write_text(architecture(), "utf-8")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    draw()
    photograph()
