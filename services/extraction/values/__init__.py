"""Normalised values of clauses: dates, durations, amounts, law, parties, titles.

    find_values("Governing Law", "… the laws of the State of Utah.", offset=120)
    document_values([ClauseContext("cl_1", "Governing Law", 0.9, 120, text), …])

Pure functions of a clause's category, text and offset.
"""

from services.extraction.values.clause import CATEGORIES, find_values, value_json
from services.extraction.values.document import ClauseContext, DocumentValue, document_values
from services.extraction.values.document_title import document_title
from services.extraction.values.value import Kind, Status, Value

__all__ = [
    "CATEGORIES",
    "ClauseContext",
    "DocumentValue",
    "Kind",
    "Status",
    "Value",
    "document_title",
    "document_values",
    "find_values",
    "value_json",
]
