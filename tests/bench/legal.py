"""Compare the arithmetics of the legal specialist: `make bench-legal`.

    python -m tests.bench.legal [--rounds 3] [--tokens 10000] [--price 0.10]

All run in alternating processes on the same text and windows. The text is a contract of the data
folder in SMALLPRINT_TEST_DATA, or a generated one in which every sentence is a clause.

* fp32: the same base and adapter, exported by torch and run by onnxruntime with its optimisations,
eight windows at a time, then ranked like the others;

* INT4: the weights in memory as on disk (SMALLPRINT_ARITHMETIC=int4);

* INT8: widened once at load (the default).

Prints bytes on disk, resident memory, seconds to load, and tokens a second from text to token
probabilities and to clauses. Also prints the seconds from the bytes of a PDF to its clauses (read
in a child process), the comparison with fp32, the price of a million tokens, and the best F1 from
`models.clauses.arithmetic`. Needs the training environment (torch, onnx, transformers) to export
fp32.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from models.files import folder_of, read_lines
from services.extraction.pipeline.search import search, search_scores
from shared.artefacts.loader import sha256
from shared.documents.sandbox import Reader
from shared.inference import Specialist, Specialists
from shared.inference.adapters import (
    GRAPH_FILE,
    INTEGER_FILE,
    TOKENISER_FILE,
    base_folder,
    load_adapter,
    newest_version,
)
from shared.inference.engines import Int8
from shared.inference.session import Forest, Session
from shared.inference.tokeniser import Tokeniser
from tests.bench.pages import pdf_of

NAME = "contract-clauses"
CONTRACTS = "legal/cuad_train.jsonl.gz"
TEXT_FILE = "text.txt"
LETTERS = 4.5  # characters of a token, about
COMPARED = folder_of(NAME) / "comparison.json"
ENGINES = ("fp32", "int4", "int8")
SENTENCES = (
    "This Agreement shall be governed by the laws of the State of New York.",
    "Neither party may assign this Agreement without the prior written consent of the other.",
    "The term of this Agreement is five (5) years from the Effective Date.",
    "Supplier shall keep complete books and records, which Buyer may audit once a year.",
    "All notices shall be in writing and sent to the address on the first page.",
)


def made_text(tokens: int) -> str:
    """Make numbered paragraphs with about so many tokens, in an order that does not repeat."""
    draw = np.random.default_rng(0)
    lines = [f"{n}. {' '.join(draw.permutation(SENTENCES))}" for n in range(1, tokens // 80 + 2)]
    return "\n\n".join(lines)


def contract(data: Path, tokens: int, tokenise: Tokeniser) -> str:
    """A contract of the data folder with about so many tokens, as plain ASCII."""
    texts = [record["text"] for record in read_lines(data / CONTRACTS)]
    texts.sort(key=lambda text: abs(len(text) - LETTERS * tokens))
    nearest = min(texts[:20], key=lambda text: abs(len(tokenise(text).ids) - tokens))
    return str(nearest.encode("ascii", "replace").decode("ascii"))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.legal", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="of each; medians are printed")
    parser.add_argument("--tokens", type=int, default=10_000, help="of the text that is read")
    parser.add_argument(
        "--price", type=float, default=0.10, help="of such a machine, in US$ an hour"
    )
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measured(options)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        options.scratch = Path(scratch)
        from models.base.fp32 import export_plain

        text, about = text_of(options.artefacts, options.tokens)
        (options.scratch / TEXT_FILE).write_text(text, encoding="ascii")
        export_plain(options.artefacts, NAME, options.scratch / "fp32.onnx")
        figures = compared(options)
    figures["machine"]["text"] = about
    print(table(figures))
    return 0


def text_of(artefacts: Path, tokens: int) -> tuple[str, str]:
    """The measured text, and its description."""
    data = os.environ.get("SMALLPRINT_TEST_DATA")
    if not data:
        return made_text(tokens), "made, every sentence a clause"
    tokenise = Tokeniser(base_folder(artefacts) / TOKENISER_FILE)
    return contract(Path(data), tokens, tokenise), "a contract"


# --- measuring ----------------------------------------------------------------------------------


def compared(options: argparse.Namespace) -> dict[str, Any]:
    """Run each variant in turn, each time in a new process, and return medians."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ENGINES}
    for _ in range(options.rounds):
        for name, results in runs.items():
            command = [sys.executable, "-m", "tests.bench.legal", "--one", name]
            for option in ("artefacts", "threads", "scratch"):
                command += [f"--{option}", str(getattr(options, option))]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            results.append(json.loads(done.stdout))
    figures = {
        name: {key: statistics.median(run[key] for run in results) for key in results[0]}
        for name, results in runs.items()
    }
    folder = base_folder(options.artefacts)
    disk = (folder / GRAPH_FILE).stat().st_size
    sizes = {
        "fp32": (options.scratch / "fp32.onnx").stat().st_size,
        "int4": disk,
        "int8": disk + (folder / INTEGER_FILE).stat().st_size,
    }
    for name, size in sizes.items():
        figures[name] |= {
            "bytes": size,
            "times_fp32": figures[name]["tokens_a_second"] / figures["fp32"]["tokens_a_second"],
            "clauses_times_fp32": figures[name]["clauses_tokens_a_second"]
            / figures["fp32"]["clauses_tokens_a_second"],
            "document_times_fp32": figures["fp32"]["document_seconds"]
            / figures[name]["document_seconds"],
            "dollars_a_million": options.price
            / 3600
            / figures[name]["clauses_tokens_a_second"]
            * 1e6,
        }
    quality = json.loads(COMPARED.read_text(encoding="utf-8"))
    for name, form in FORMS.items():
        figures[name]["best_f1"] = quality["forms"][form]["best_f1"]
    machine = {
        "contracts": quality["contracts"],
        "on_disk": disk,
        "processor": _processor(),
        "threads": options.threads,
        "rounds": options.rounds,
        "price": options.price,
        "tokens": figures["int8"].pop("tokens"),
    }
    return {"base": folder.name, "machine": machine, **figures}


def measured(options: argparse.Namespace) -> dict[str, float]:
    """The figures of one variant, in this process."""
    text = (options.scratch / TEXT_FILE).read_text(encoding="ascii")
    began = time.perf_counter()
    specialist = specialist_of(options)
    seconds = time.perf_counter() - began
    specialist.token_probabilities(text[:3000])
    began = time.perf_counter()
    scores = specialist.token_probabilities(text)
    encoded = time.perf_counter() - began
    search_scores(text, scores, specialist)
    decoded = time.perf_counter() - began
    resident, tokens = _resident(), len(scores.offsets)
    with Reader() as reader:
        data = pdf_of(text)
        reader.read(pdf_of(text[:1000]))
        began = time.perf_counter()
        reading = reader.read(data)
        read = time.perf_counter() - began
        search(reading.text, specialist, reading.furniture)
        whole = time.perf_counter() - began
    return {
        "load_seconds": seconds,
        "megabytes": resident,
        "tokens": tokens,
        "document_seconds": whole,
        "reading_seconds": read,
        "encoding_seconds": encoded,
        "clauses_seconds": decoded - encoded,
        "tokens_a_second": tokens / encoded,
        "clauses_tokens_a_second": tokens / decoded,
    }


def specialist_of(options: argparse.Namespace) -> Specialist:
    """The specialist with one arithmetic."""
    if options.one != "fp32":
        return Specialists(options.artefacts, options.threads, options.one).get(NAME)
    folder = base_folder(options.artefacts)
    engine = Int8(folder, threads=1)
    adapter = newest_version(options.artefacts, NAME)
    manifest, _ = load_adapter(adapter, sha256(folder / GRAPH_FILE), engine.adapter_inputs)
    del engine
    session = Session(options.scratch / "fp32.onnx", options.threads)
    pool = ThreadPoolExecutor(options.threads)
    forests = {
        key: Forest(adapter / f"{key}.onnx", pool, options.threads) for key in manifest.forests
    }
    files = {name: (adapter / name).read_bytes() for name in manifest.files}
    tokenise = Tokeniser(folder / TOKENISER_FILE)
    return Specialist(manifest, tokenise, session.run, forests, files=files)


def _resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    has = [f for f in ("avx512_vnni", "avx_vnni", "amx_int8") if any(f in line for line in lines)]
    return f"{name or platform.processor()} ({', '.join(has) or 'no VNNI'})"


# --- showing ------------------------------------------------------------------------------------

COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("MB on disk", "bytes", lambda v: f"{v / 1e6:.1f}"),
    ("MB resident", "megabytes", lambda v: f"{v:.0f}"),
    ("load s", "load_seconds", lambda v: f"{v:.2f}"),
    ("tokens/s", "tokens_a_second", lambda v: f"{v:,.0f}"),
    ("x fp32", "times_fp32", lambda v: f"{v:.2f}"),
    ("to clauses", "clauses_tokens_a_second", lambda v: f"{v:,.0f}"),
    ("x fp32", "clauses_times_fp32", lambda v: f"{v:.2f}"),
    ("PDF s", "document_seconds", lambda v: f"{v:.2f}"),
    ("x fp32", "document_times_fp32", lambda v: f"{v:.2f}"),
    ("US$/million", "dollars_a_million", lambda v: f"{v:.5f}"),
    ("best F1", "best_f1", lambda v: f"{v:.4f}"),
)
LABELS = {"fp32": "fp32, plain export", "int4": "INT4 in memory", "int8": "INT8"}
FORMS = {
    "fp32": "fp32, the same INT4 numbers",
    "int4": "INT4 in memory",
    "int8": "INT8 arithmetic, as served",
}
"""Names of the variants in models.clauses.arithmetic."""


def table(figures: dict[str, Any]) -> str:
    """The figures as text."""
    machine = figures["machine"]
    lines = [
        f"{figures['base']}, {machine['processor']}, {machine['threads']} threads, "
        f"medians of {machine['rounds']}; {machine['tokens']:,} tokens ({machine['text']}); "
        f"US$ {machine['price']:.2f} an hour",
        f"{'':20}" + "".join(f"{title:>13}" for title, _, _ in COLUMNS),
    ]
    lines.append(f"{'INT4 on disk':20}{machine['on_disk'] / 1e6:>13.1f}")
    for name, label in LABELS.items():
        cells = "".join(f"{show(figures[name][key]):>13}" for _, key, show in COLUMNS)
        lines.append(f"{label:20}{cells}")
    int8 = figures["int8"]
    lines.append(
        f"INT8 by step: reading the PDF {int8['reading_seconds']:.2f} s, token "
        f"probabilities {int8['encoding_seconds']:.2f} s, clauses {int8['clauses_seconds']:.2f} s"
    )
    lines.append(
        f"best F1: {COMPARED}, {machine['contracts']} contracts of an unseen fold, plain decoding"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
