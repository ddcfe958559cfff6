"""The commands `smallprint policy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.specialists import installed
from services.cli.stores import stored
from shared.cli.lines import Lines
from shared.cli.options import as_json, data_option
from shared.cli.options import given as _given

if TYPE_CHECKING:
    from services.extraction.trying import Past, Tally
    from shared.asking import AskRules
    from shared.documents import Reading
    from shared.policy import RiskRules
    from shared.settings import CommonSettings


@click.group()
def policy() -> None:
    """Policies: what may be accepted, and who may be asked.

    \b
    Examples:
      smallprint policy try careful.toml
      smallprint policy try careful.toml --tenant acme --json
    """


@policy.command("try")
@click.argument("file", metavar="POLICY", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--tenant", default="default", show_default=True, help="Whose documents are tried.")
@data_option
@as_json
def policy_try(file: Path, tenant: str, data: Path | None, as_json: bool) -> int:
    """Try the POLICY file on the documents of a data folder, beside the policy in force.

    Each document counts as it was read: what would be accepted, and what people would be asked.
    Expected errors are those among the accepted, by the specialist's calibration set; beside them
    is how many of the accepted people have rejected or corrected. Contracts alone are tried:
    findings of reports, and questions about kinds and pages, are not, nor is what another
    max_missed would show. Nothing is changed, and a suite may be running.
    """
    from services.escalation.policy import read_policies
    from services.escalation.settings import Settings
    from services.extraction.routing import refuse_unknown_categories
    from shared.asking import read_askers
    from shared.cli import policies
    from shared.inference.adapters import labels_in
    from shared.policy import read_risks
    from shared.settings import load

    settings = load(Settings, **_given(data=data))
    paths = (settings.policy_file, file)
    # The whole of both: also what is said of providers.
    versions = [read_policies(path).version(tenant) for path in paths]
    now, new = (read_risks(path) for path in paths)
    asks = [read_askers(path).of(tenant) for path in paths]
    known = labels_in(settings.artefacts_folder, settings.adapters_folder)
    refuse_unknown_categories(new.categories, known)
    lines = Lines(as_json=as_json, table=policies.shown)
    line = _tried_policies(settings, tenant, (now.of(tenant), new.of(tenant)), asks)
    for name, version in zip(("now", "tried"), versions, strict=True):
        line[name]["version"] = {"digest": version.digest, "label": version.label}
    lines.result({"source": str(file), "tenant": tenant, **line})
    return lines.exit_code


def _tried_policies(
    settings: CommonSettings, tenant: str, rules: Sequence[RiskRules], asks: Sequence[AskRules]
) -> Mapping[str, Any]:
    """What the policy in force and another one do with the documents of a tenant."""
    from services.extraction.settings import Settings as Extraction
    from services.extraction.store import MIGRATIONS as OF_EXTRACTION
    from services.extraction.trying import past, tried
    from services.extraction.watch.store import Watches
    from services.review.handlers import document_reading
    from services.review.settings import Settings as Review
    from services.review.store import MIGRATIONS as OF_REVIEW
    from services.review.store import find_document, verdicts
    from shared.settings import load
    from shared.storage import MissingBlob, open_blobs
    from shared.storage.secret import draw_key

    given = _given(data=settings.data)
    extraction_url = load(Extraction, **given).extraction_database_url
    review_url = load(Review, **given).review_database_url
    blobs = open_blobs(settings.blobs_url, settings.blobs, "review")
    with (
        stored(settings, "extraction", extraction_url, OF_EXTRACTION) as extracted,
        stored(settings, "review", review_url, OF_REVIEW) as review,
        review.read() as session,
    ):
        decided = verdicts(session, tenant)
        counted = [0, 0, 0]

        def reading_of(document_id: str) -> Reading | None:
            document = find_document(session, tenant, document_id)
            try:
                return document_reading(document, blobs) if document else None
            except MissingBlob:
                return None

        def documents() -> Iterator[Past]:
            for one in past(extracted, tenant, reading_of):
                mine = [clause.id for clause in one.clauses]
                counted[0] += 1
                counted[1] += len(mine)
                counted[2] += sum(clause_id in decided for clause_id in mine)
                yield one

        with extracted.read() as of_extraction:
            key, local = draw_key(of_extraction), Watches(of_extraction, tenant).local
            policies = list(zip(rules, asks, strict=True))
            tallies = tried(documents(), policies, installed(settings), decided, key, local)
    shown = [_tally(own, tally) for own, tally in zip(rules, tallies, strict=True)]
    counts = dict(zip(("documents", "clauses", "decided"), counted, strict=True))
    return {**counts, "now": shown[0], "tried": shown[1]}


def _tally(rules: RiskRules, tally: Tally) -> dict[str, Any]:
    """What a policy does, with what it says."""
    from services.review.priority import SECONDS, WORDS_A_MINUTE

    seconds = tally.reviewed * SECONDS + tally.words_reviewed / WORDS_A_MINUTE * 60
    return {
        "max_wrong": rules.max_wrong,
        "level": rules.level,
        "accepted": tally.accepted,
        "escalated": tally.escalated,
        "reviewed": tally.reviewed,
        "sampled": tally.sampled,
        "review_hours": seconds / 3600,
        "cost_usd": tally.usd,
        "expected_errors": tally.expected_errors,
        "expected_errors_interval": tally.errors_within(),
        "expected_errors_by_category": {
            category: {"expected_errors": errors, "accepted": accepted}
            for category, (errors, accepted) in tally.errors_by_category().items()
        },
        "accepted_and_decided": tally.decided,
        "changed": tally.changed,
        "why_not": dict(tally.why_not),
    }
