"""The tables of escalation, as its stores name them. The first release writes them out here."""

from alembic import op

from services.escalation import decisions, store
from services.escalation.costs import store as costs
from services.escalation.ledger import store as ledger
from services.escalation.policy import store as policy
from shared.messaging.tables import create_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op, *(one.metadata for one in (store, decisions, costs, ledger, policy)))
