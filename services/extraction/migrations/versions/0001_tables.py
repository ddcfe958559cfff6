"""The tables of extraction, as its stores name them. The first release writes them out here."""

from alembic import op

from services.extraction.monitoring import store
from shared.messaging.tables import create_tables
from shared.storage.secret import create_secrets

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op, store.metadata)
    create_secrets(op)
