"""The commands `smallprint webhooks`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.options import one_json, suite_options
from services.cli.output.lines import OutputWriter, plain, print_hint, print_line, result_json

if TYPE_CHECKING:
    from shared.client import Client, Delivery, Webhook

EVENT_TYPES = (
    *("document.ended", "document.deleted", "clauses.extracted", "findings.found"),
    "review.decided",
)
TEST_SECONDS = 30.0
"""Longest time for one attempt, with its connection."""


@click.group()
def webhooks() -> None:
    """List, add, try and remove the webhooks of a running suite.

    \b
    Examples:
      smallprint webhooks try https://hooks.example.com/smallprint
      smallprint webhooks add https://hooks.example.com/smallprint --type document.ended
      smallprint webhooks list
      smallprint webhooks remove ID
    """


@webhooks.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a webhook.")
@suite_options
def webhooks_list(as_json: bool, url: str | None, data: Path | None, key: str | None) -> None:
    """List the webhooks, without their secrets."""
    from services.cli.deployment.connection import connect

    with connect(url, key, data) as client:
        listed = list(client.webhooks())
    for webhook in listed:
        print_line(result_json(webhook), [_row(webhook)], as_json=as_json)
    if not listed:
        print_hint("no webhooks yet. `smallprint webhooks add URL` adds one")


@webhooks.command("add")
@click.argument("receiver", metavar="URL")
@click.option(
    "--type",
    "types",
    type=click.Choice(EVENT_TYPES),
    multiple=True,
    help="Only events of this type; may be repeated.",
)
@click.option("--description", default="", help="A note for people.")
@one_json
@suite_options
def webhooks_add(
    receiver: str,
    types: Sequence[str],
    description: str,
    as_json: bool,
    url: str | None,
    data: Path | None,
    key: str | None,
) -> None:
    """Call URL when something happens; print the secret.

    The secret verifies the signature of each message, and is never shown again.
    """
    from services.cli.deployment.connection import connect

    with connect(url, key, data) as client:
        webhook = client.create_webhook(receiver, types, description=description)
    rows = [_row(webhook), f"  secret: {webhook.secret}"]
    print_line(result_json(webhook), rows, as_json=as_json)


@webhooks.command("try")
@click.argument("receiver", metavar="URL")
@one_json
@suite_options
def webhooks_try(
    receiver: str, as_json: bool, url: str | None, data: Path | None, key: str | None
) -> int:
    """Send one signed example to URL, and print the answer.

    The suite sends it, so this also tests its network. A registered URL gets an example that its
    own secret signs. For another URL a secret is made and printed, and nothing stays registered.
    Exits with 0 if the receiver accepted the example.
    """
    from services.cli.deployment.connection import connect

    with connect(url, key, data) as client:
        registered = next((one for one in client.webhooks() if one.url == receiver), None)
        webhook = registered or client.create_webhook(receiver, ["document.deleted"])
        try:
            delivery = _wait(client, webhook.id, client.test_webhook(webhook.id))
        finally:
            if registered is None:
                client.delete_webhook(webhook.id)
    lines = OutputWriter(as_json=as_json, table=_answer)
    line = {"source": receiver, "secret": webhook.secret, **result_json(delivery)}
    if delivery.state != "delivered":
        error = delivery.attempts[-1].error if delivery.attempts else None
        detail = error or delivery.reason or f"no answer within {TEST_SECONDS:g} seconds"
        made = f" (signed with {webhook.secret}, made for this try)" if webhook.secret else ""
        line["error"] = {"type": "not_delivered", "detail": f"{detail}{made}"}
    lines.result(line)
    return lines.exit_code


@webhooks.command("remove")
@click.argument("webhook_id", metavar="ID")
@suite_options
def webhooks_remove(webhook_id: str, url: str | None, data: Path | None, key: str | None) -> None:
    """Remove a webhook with its log."""
    from services.cli.deployment.connection import connect

    with connect(url, key, data) as client:
        client.webhook(webhook_id)  # an unknown id is an error
        client.delete_webhook(webhook_id)
    click.echo(f"{plain(webhook_id)} is removed", err=True)


def _wait(client: Client, webhook_id: str, delivery: Delivery) -> Delivery:
    """Wait for the result of a delivery."""
    until = time.monotonic() + TEST_SECONDS
    while delivery.state == "pending" and time.monotonic() < until:
        time.sleep(0.2)
        delivery = client.delivery(webhook_id, delivery.id)
    return delivery


def _row(webhook: Webhook) -> str:
    types = " ".join(webhook.types) or "all events"
    note = f"  {plain(webhook.description)}" if webhook.description else ""
    disabled = f"disabled: {plain(webhook.disabled_reason or 'by a person')}"
    state = "" if webhook.enabled else f"  {disabled}"
    return f"{webhook.id}  {plain(webhook.url)}  {types}{note}{state}"


def _answer(line: Mapping[str, Any]) -> Iterator[str]:
    (attempt,) = line["attempts"]
    answer = f"{attempt['status']} in {attempt['seconds']:.2f} s"
    yield f"{plain(line['source'])} accepted the example: {answer}"
    yield f"  signed with {line['secret'] or 'its own secret'}"
