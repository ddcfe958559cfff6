"""Send one document through a suite of its own, and draw what it took, from upload to decision.

    python -m infra.trace_picture [--kafka] [--out var/trace.html]

The embedded edition, or with --kafka every service as processes of its own on a real broker. A
stand-in answers for the frontier model. The picture is one HTML file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from infra.kafka import broker
from infra.traces.picture import picture
from infra.traces.road import RoadError, traced


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Draw the trace of one document.")
    parser.add_argument("--kafka", action="store_true", help="separate processes on a broker")
    parser.add_argument(
        "--out", type=Path, default=Path("var/trace.html"), help="the file (%(default)s)"
    )
    options = parser.parse_args(arguments)
    lacking = broker.missing() if options.kafka else None
    if lacking:
        print(f"trace_picture: {lacking}", file=sys.stderr)
        return 1
    try:
        with (
            tempfile.TemporaryDirectory(prefix="smallprint-trace-") as folder,
            traced(Path(folder), kafka=options.kafka) as suite,
        ):
            document = suite.travel()
            spans = suite.trace(document)
    except RoadError as error:
        print(f"trace_picture: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(picture(spans, document), "utf-8")
    services = Counter(one.service for one in spans)
    said = ", ".join(f"{name} {number}" for name, number in sorted(services.items()))
    print(f"document {document}: one trace, {len(spans)} spans ({said})")
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
