"""Values of clauses: dates, durations, amounts, law, parties, titles, with their words.

    find_values("Governing Law", "… the laws of the State of Utah.", offset=120)
    document_values([Located("cl_1", "Governing Law", 0.9, 120, text), …])

Pure functions of a clause's category, text and place: the same clause always has the same values.
"""

from services.extraction.values.clause import CATEGORIES, find_values, main_value, value_json
from services.extraction.values.document import DocumentValue, Located, document_values
from services.extraction.values.value import Kind, Status, Value

__all__ = [
    "CATEGORIES",
    "DocumentValue",
    "Kind",
    "Located",
    "Status",
    "Value",
    "document_values",
    "find_values",
    "main_value",
    "value_json",
]
