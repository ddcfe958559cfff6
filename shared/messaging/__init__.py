"""Events that are committed with their cause: unit of work, outbox, relay, pump and inbox."""

from shared.messaging.inbox import DeadLetter, Inbox, Lease
from shared.messaging.pump import Pump
from shared.messaging.relay import Relay
from shared.messaging.unit_of_work import AlreadyHandled, EventTooLarge, TakesLong, UnitOfWork

__all__ = [
    "AlreadyHandled",
    "DeadLetter",
    "EventTooLarge",
    "Inbox",
    "Lease",
    "Pump",
    "Relay",
    "TakesLong",
    "UnitOfWork",
]
