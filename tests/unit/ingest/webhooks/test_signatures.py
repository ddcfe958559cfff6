"""Signatures, verified by the reference library."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.ingest.webhooks.signatures import new_secret, signed_headers

BODY = '{"type":"document.ended","data":{"reason":"große Öse"}}'.encode()


def test_the_reference_library_verifies_our_signatures() -> None:
    secret = new_secret()
    headers = signed_headers("msg_1", datetime.now(UTC), BODY, [secret])
    assert set(headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert Webhook(secret).verify(BODY, headers)["type"] == "document.ended"
    for name, value in (("webhook-id", "msg_2"), ("webhook-timestamp", "1")):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, {**headers, name: value})
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_a_known_signature() -> None:
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_both_secrets_verify_during_rotation() -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers("msg_1", datetime.now(UTC), BODY, [new, old])
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)


def test_secrets_match_the_specification() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        assert secret.startswith("whsec_")
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64


def test_an_old_message_is_refused_by_receivers() -> None:
    secret = new_secret()
    then = datetime.now(UTC) - timedelta(minutes=6)
    with pytest.raises(WebhookVerificationError, match="old"):
        Webhook(secret).verify(BODY, signed_headers("msg_1", then, BODY, [secret]))
