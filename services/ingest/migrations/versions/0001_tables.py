"""The tables of ingest, as its stores name them. The first release writes them out here."""

from alembic import op

from services.ingest.idempotency import store as idempotency
from services.ingest.resumable import store as resumable
from services.ingest.retention import store as retention
from services.ingest.search import store as search
from services.ingest.webhooks import store as webhooks
from shared.messaging.tables import create_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of an empty database."""
    stores = (idempotency, resumable, retention, search, webhooks)
    create_tables(op, *(store.metadata for store in stores))
