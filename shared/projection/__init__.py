"""The state of a service's documents, kept up to date by their events."""

from shared.projection.projection import Projection
from shared.projection.record import DocumentRecord
from shared.projection.store import DocumentRecords, document_columns

__all__ = ["DocumentRecord", "DocumentRecords", "Projection", "document_columns"]
