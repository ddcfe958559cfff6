"""Names of operations for generated clients."""

import pytest

from shared.web.operation_ids import operation_id


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("GET /v1/documents", "get_documents"),
        ("GET /v1/documents/{id}", "get_document"),
        ("GET /v1/documents/{document_id}/narrative-flags", "get_document_narrative_flags"),
        ("GET /v1/documents/{id}/pages/{number}.png", "get_document_page_png"),
        ("POST /v1/documents/{id}/cancel", "cancel_document"),
        ("POST /v1/items/claim", "claim_items"),
        ("POST /v1/webhooks/{id}/deliveries/{delivery_id}/redeliver", "redeliver_webhook_delivery"),
        ("PUT /v1/documents/{id}/kind", "set_document_kind"),
        ("GET /livez", "get_livez"),
    ],
)
def test_an_operation_is_named_after_what_it_does(operation: str, name: str) -> None:
    assert operation_id(*operation.split(" ")) == name
