"""The typed client of the suite, synchronous over httpx, imported as `smallprint`.

import smallprint

with smallprint.Client("http://127.0.0.1:8400", key="sp_…") as client:
    document = client.upload("contract.pdf")
    document = client.wait(document.id)
    for clause in client.clauses(document.id):
        print(clause.category, clause.page, clause.text)
"""

from .client import Client
from .errors import (
    ApiError,
    Conflict,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Refused,
    SmallprintError,
    Stale,
    Unavailable,
    WaitedTooLong,
)
from .results import (
    Box,
    Change,
    Clause,
    ClauseValue,
    Decision,
    Delivery,
    DeliveryAttempt,
    Document,
    DocumentValue,
    FailedPage,
    Finding,
    Findings,
    Hit,
    HitClause,
    Item,
    Key,
    Mark,
    Page,
    Parent,
    Part,
    Presence,
    Tombstone,
    Value,
    Webhook,
)

__all__ = [
    "ApiError",
    "Box",
    "Change",
    "Clause",
    "ClauseValue",
    "Client",
    "Conflict",
    "Decision",
    "Delivery",
    "DeliveryAttempt",
    "Document",
    "DocumentValue",
    "FailedPage",
    "Finding",
    "Findings",
    "Hit",
    "HitClause",
    "Item",
    "Key",
    "Mark",
    "NotAllowed",
    "NotFound",
    "NotSignedIn",
    "Page",
    "Parent",
    "Part",
    "Presence",
    "Refused",
    "SmallprintError",
    "Stale",
    "Tombstone",
    "Unavailable",
    "Value",
    "WaitedTooLong",
    "Webhook",
]
