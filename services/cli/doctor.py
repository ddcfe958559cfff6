"""The command `smallprint doctor`: this machine, its models and its data folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.reading import open_reader
from services.cli.specialists import ADAPTER
from shared.cli.lines import to_json, write
from shared.cli.options import PORT, data_option, one_json
from shared.cli.options import given as _given
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.cli.checks import Check
    from shared.inference import Specialists
    from shared.settings import CommonSettings


@click.command()
@data_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=PORT,
    show_default=True,
    help="On which a suite is to listen.",
)
@one_json
def doctor(data: Path | None, port: int, as_json: bool) -> int:
    """Check this machine, the models and the data folder, and say how to mend what is wrong.

    Exits with 0 if nothing has to be mended.

    \b
    Examples:
      smallprint doctor
      smallprint doctor --json | jq '.checks[] | select(.state == "wrong")'
    """
    from shared.cli import checks
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings, **_given(data=data))
    found = [
        checks.python(),
        checks.packages(),
        *checks.optional_packages(),
        checks.recognition(),
        checks.network(),
        *_check_models(settings),
        _check_judge(settings.artefacts_folder),
        _check_order(settings.artefacts_folder),
        _check_peers(settings.artefacts_folder),
        _check_narrative(settings.artefacts_folder),
        _check_names(settings.artefacts_folder),
        checks.data_folder(settings.data),
        checks.disk(settings.data),
        checks.port(port),
    ]
    content = checks.content(found)
    if as_json:
        write(to_json({"content": content, "checks": [asdict(check) for check in found]}))
    else:
        rows = [*checks.shown(found), checks.ending(found)]
        write("".join(f"{row}\n" for row in rows).encode())
    return 0 if content else 1


def _check_models(settings: CommonSettings) -> Iterator[Check]:
    """Base and adapters against their hashes, then ten lines of a contract through all of it."""
    from shared.cli.checks import Check, restore_models
    from shared.inference import Specialists
    from shared.inference.adapters import adapter_names

    mend = restore_models()
    try:
        specialists = Specialists(
            settings.artefacts_folder,
            settings.threads,
            settings.arithmetic,
            settings.adapters_folder,
        )
        for name in adapter_names(settings.artefacts_folder):
            yield check_adapter(specialists, name)
    except SuiteError as error:
        yield Check("models", "wrong", error.message, mend)
        return
    for name in adapter_names(settings.adapters_folder):
        try:
            yield check_adapter(specialists, name)
        except SuiteError as error:
            again = (
                f"smallprint teach {name} EXAMPLES --replace, or smallprint teach --remove {name}"
            )
            yield Check("adapter", "wrong", error.message, again)
    yield Check("base", "good", f"{specialists.base.sha256[:12]}, hash agrees")
    yield _probe(specialists)


def check_adapter(specialists: Specialists, name: str) -> Check:
    """One specialist against its hashes. Raises SuiteError for a missing or damaged one."""
    from services.extraction.pipeline import require_ranking
    from shared.cli.checks import Check

    specialist = specialists.get(name)
    require_ranking(specialist)
    manifest = specialist.manifest
    count = len(manifest.labels)
    labels = f"{count} label{'' if count == 1 else 's'}"
    return Check("adapter", "good", f"{name} {manifest.version}, {labels}, hashes agree")


def _check_names(artefacts: Path) -> Check:
    """What names the lines of statements against its hashes; without it they have no concepts."""
    from services.triage.naming import NAME, Namer
    from shared.cli.checks import Check, restore_models

    try:
        namer = Namer.found(artefacts)
    except SuiteError as error:
        return Check("names", "wrong", error.message, restore_models())
    if namer is None:
        return Check("names", "note", f"no {NAME}: lines have no concepts", restore_models())
    beside = " with its adapter" if namer.reader else ""
    return Check("names", "good", f"{NAME} {namer.model.version}{beside}, hashes agree")


def _check_judge(artefacts: Path) -> Check:
    """What judges reports against its hashes; without it rules do."""
    from services.triage.risk import NAME, Judge
    from shared.cli.checks import Check, restore_models

    try:
        judge = Judge.found(artefacts)
    except SuiteError as error:
        return Check("triage", "wrong", error.message, restore_models())
    if judge is None:
        return Check("triage", "note", f"no {NAME}: rules alone judge reports", restore_models())
    return Check("triage", "good", f"{NAME} {judge.version}, hashes agree")


def _check_order(artefacts: Path) -> Check:
    """What orders the review queue against its hash; without it confidence does."""
    from services.review.priority import NAME, Priority
    from shared.cli.checks import Check, restore_models

    try:
        priority = Priority.found(artefacts)
    except SuiteError as error:
        return Check("review", "wrong", error.message, restore_models())
    if priority is None:
        said = f"no {NAME}: confidence alone orders the queue"
        return Check("review", "note", said, restore_models())
    return Check("review", "good", f"{priority.title}, hash agrees")


def _check_peers(artefacts: Path) -> Check:
    """What is usual among companies against its hash; without it there are no signals."""
    from services.triage.signals.peers import NAME, Peers
    from shared.cli.checks import Check, restore_models

    try:
        peers = Peers.found(artefacts)
    except SuiteError as error:
        return Check("signals", "wrong", error.message, restore_models())
    if peers is None:
        return Check("signals", "note", f"no {NAME}: reports get no signals", restore_models())
    return Check("signals", "good", f"{NAME} {peers.version}, hash agrees")


def _check_narrative(artefacts: Path) -> Check:
    """What judges sentences against its hash; without it no sentence is flagged."""
    from services.triage.narrative.model import NAME, Narrative
    from shared.cli.checks import Check, restore_models

    try:
        narrative = Narrative.found(artefacts)
    except SuiteError as error:
        return Check("sentences", "wrong", error.message, restore_models())
    if narrative is None:
        said = f"no {NAME}: reports get no narrative flags"
        return Check("sentences", "note", said, restore_models())
    return Check("sentences", "good", f"{NAME} {narrative.version}, hash agrees")


def _probe(specialists: Specialists) -> Check:
    from services.extraction.pipeline import find_clauses
    from shared.cli.checks import PROBE, Check

    mend = "restore models/artefacts from the release; if it stays so, report it with this line"
    began = time.monotonic()
    try:
        with open_reader() as reader:
            reading = reader.read(PROBE.encode(), name="probe.txt")
        clauses = find_clauses(reading.text, specialists.get(ADAPTER))
    except SuiteError as error:
        return Check("probe", "wrong", error.message, mend)
    seconds = time.monotonic() - began
    if not clauses or any(PROBE[c.start : c.end] != c.text for c in clauses):
        return Check("probe", "wrong", f"{len(clauses)} clauses in ten lines", mend)
    categories = ", ".join(sorted({clause.category for clause in clauses}))
    return Check("probe", "good", f"ten lines in {seconds:.2f} s: {categories}")
