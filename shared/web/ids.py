"""The form of ids in paths and queries: whatever has another is nobody's, and no database is asked.

Ids are ours (`doc_` and 32 digits, say), so the form is strict in its characters: no NUL and no
half of a surrogate pair, which PostgreSQL refuses, gets as far as a query.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

ID = r"^[A-Za-z0-9_-]{1,64}$"

DocumentPath = Annotated[str, Path(pattern=ID, description="id of the document")]
"""The `{document_id}` of a route."""
