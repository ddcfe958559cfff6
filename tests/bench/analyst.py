"""Measure the review pages with a scripted analyst in Chromium: `make bench-review`.

    python -m tests.bench.analyst [--items 200] [--pages 500]

Contracts of SMALLPRINT_TEST_DATA are read by the embedded edition. The analyst decides their items
by keys. An item is shown when its heading is drawn, and ready when its words are marked on the
drawn page. Then the longest PDF and a made one are opened and scrolled from end to end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from pypdf import PdfReader

from tests.bench.legal import made_text
from tests.bench.pages import pdf_of
from tests.support import library
from tests.support.embedded import Embedded

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 900.0  # seconds
TOKENS = 613  # of a made page
WINDOW = {"width": 1440, "height": 900}
TIMES = """
window.times = [];
addEventListener("keydown", ({ key }) => {
  if (key !== "a" && key !== "r") return;
  const at = performance.now(), before = document.querySelector(".panel h1");
  let shown = 0;
  const look = () => {
    const heading = document.querySelector(".panel h1");
    if (!shown && heading && heading !== before) shown = performance.now() - at;
    if (shown && ready()) window.times.push({ shown, ready: performance.now() - at });
    else if (document.querySelector(".workbench")?.isConnected) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}, true);
window.ready = () => {
  const pane = document.querySelector(".desk")?.getBoundingClientRect();
  if (!pane) return false;
  const current = ".desk .sheet .mark:not(.other):not(.part)";
  return [...document.querySelectorAll(current)].some((mark) => {
    const picture = mark.closest(".sheet").querySelector("img");
    const { top } = mark.getBoundingClientRect();
    return picture?.complete && picture.naturalWidth && top >= pane.top && top <= pane.bottom;
  });
};
"""
WAIT_READY = """async () => {
  while (!window.ready()) await new Promise(requestAnimationFrame);
  return performance.now();
}"""
WAIT_TIMES = (
    "async (count) => { while (times.length <= count) await new Promise(requestAnimationFrame); }"
)
SCROLL = """async () => {
  const pane = document.querySelector(".desk"), frames = [];
  const drawn = () => pane.querySelectorAll(".sheet img").length;
  let last = performance.now(), most = 0, nodes = 0;
  const step = pane.scrollHeight / 600;
  for (pane.scrollTop = 0; pane.scrollTop + pane.clientHeight < pane.scrollHeight - 2;) {
    pane.scrollTop += step;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
    most = Math.max(most, drawn());
    nodes = Math.max(nodes, document.querySelectorAll("*").length);
  }
  return { frames: frames.slice(1), most, nodes };
}"""


def main() -> int:
    """Measure and print. Exit code 1 if a decision was lost or stored twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.analyst", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--items", type=int, default=200, help="to decide (%(default)s)")
    parser.add_argument("--pages", type=int, default=500, help="of the made PDF (%(default)s)")
    options = parser.parse_args()
    found = sorted(Path(os.environ["SMALLPRINT_TEST_DATA"]).rglob("legal/pdf/**/*.pdf"))
    playwright = library("playwright.sync_api", "make setup-dev")
    with tempfile.TemporaryDirectory() as folder, playwright.sync_playwright() as browsers:
        suite = Embedded(Path(folder))
        line = suite.start()
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        headers = {"authorization": f"Bearer {line['key']}"}
        try:
            with httpx.Client(base_url=line["url"], headers=headers, timeout=60) as client:
                fill_queue(client, found, options.items + 5)
                page = signed_in(browser, line)
                sound = decide(client, page, options.items)
                longest = max(found, key=lambda path: len(PdfReader(path).pages))
                made = pdf_of(made_text(options.pages * TOKENS))
                scroll(client, page, longest.name, longest.read_bytes())
                scroll(client, page, "made.pdf", made)
        finally:
            browser.close()
            suite.end()
    return int(not sound)


def upload(client: httpx.Client, name: str, data: bytes) -> str:
    """Upload a document and wait for its end. Returns its id."""
    answer = client.post("/v1/documents", files={"file": (name, data)}).raise_for_status()
    document = str(answer.json()["id"])
    until = time.monotonic() + PATIENCE
    while client.get(f"/v1/documents/{document}?wait=20").json()["state"] != "ended":
        if time.monotonic() > until:
            raise TimeoutError(f"{name} was not processed within {PATIENCE:.0f} s")
    return document


def fill_queue(client: httpx.Client, found: list[Path], items: int) -> None:
    """Upload contracts until so many items are open."""
    for number, path in enumerate(found, 1):
        upload(client, path.name, path.read_bytes())
        waiting = client.get("/v1/items/counts").json()["waiting"]
        print(f"{number} contracts, {waiting} items", file=sys.stderr)
        if waiting >= items:
            return


def signed_in(browser: Any, line: dict[str, Any]) -> Any:
    """A page of a browser with a session."""
    context = browser.new_context(viewport=WINDOW)
    context.add_init_script(TIMES)
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(line["url"])
    page.get_by_label("Key").fill(line["key"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Queue").wait_for()
    return page


def decide(client: httpx.Client, page: Any, items: int) -> bool:
    """Decide items by keys. Returns whether exactly the decisions made are stored."""
    choice = random.Random(1)
    made: Counter[str] = Counter()
    page.goto(page.url.rstrip("/") + "/review")
    page.evaluate(WAIT_READY)
    print_memory(page, "at the start")
    for number in range(items):
        key = choice.choices("ar", (4, 1))[0]
        page.keyboard.press(key)
        page.evaluate(WAIT_TIMES, number)
        made["accept" if key == "a" else "reject"] += 1
        if number % 50 == 49:
            print(f"{number + 1} of {items} decided", file=sys.stderr)
        page.wait_for_timeout(choice.uniform(300, 900))  # a very fast reader
    print_memory(page, "at the end")
    times = page.evaluate("times")
    for name in ("shown", "ready"):
        print_quantiles(f"milliseconds from key to next item {name}", [one[name] for one in times])
    page.wait_for_timeout(1_000)
    stored = Counter(one["verdict"] for one in pages_of(client, "/v1/decisions"))
    print(f"decisions made {json.dumps(dict(made))}, stored {json.dumps(dict(stored))}")
    return stored == made


def pages_of(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    """All entries of a list."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(path, params={"limit": "100", **cursor}).raise_for_status().json()
        found += answer["items"]
        if not answer.get("next"):
            return found
        cursor = {"cursor": answer["next"]}


def scroll(client: httpx.Client, page: Any, name: str, data: bytes) -> None:
    """Open a document at its first highlight, and scroll over all its pages."""
    began = time.monotonic()
    document = upload(client, name, data)
    pages = client.get(f"/v1/documents/{document}").json()["pages"]
    print(f"{name}: {pages} pages, processed in {time.monotonic() - began:.0f} s")
    clause = client.get(f"/v1/documents/{document}/clauses").json()["items"][-1]
    place = "&".join(f"{name}={clause[name]}" for name in ("page", "start", "end"))
    origin = page.url.split("/review")[0].split("/documents")[0]
    page.goto(f"{origin}/documents/{document}?{place}")
    print(f"  first highlight {page.evaluate(WAIT_READY):.0f} ms after the navigation")
    answer = page.evaluate(SCROLL)
    print_quantiles("  milliseconds a frame", answer["frames"])
    print(f"  most pages drawn at once {answer['most']}, most elements {answer['nodes']}")
    print_memory(page, "after it")


def print_quantiles(name: str, values: list[float]) -> None:
    """Print median, 95th percentile and maximum."""
    p95 = statistics.quantiles(values, n=20)[18]
    print(f"{name}: median {statistics.median(values):.0f}, p95 {p95:.0f}, most {max(values):.0f}")


def print_memory(page: Any, when: str) -> None:
    """Print the heap of the page and its elements, after a collection."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    devtools.send("Performance.enable")
    facts = {
        one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]
    }
    print(
        f"memory {when}: {facts['JSHeapUsedSize'] / 2**20:.1f} MB, {facts['Nodes']:.0f} nodes, "
        f"{facts['JSEventListeners']:.0f} listeners"
    )


if __name__ == "__main__":
    sys.exit(main())
