"""What can be wrong with a base or an adapter; each message names the file and what to do.

Both are faults of the installation, not of a document: a worker tries again until an operator has
mended them, so that no document is given up because an adapter was being exchanged.
"""

from __future__ import annotations

from shared.errors import SuiteError


class BaseError(SuiteError):
    """The base model is missing, damaged or not alone in its folder."""

    code = "base"
    http_status = 503
    retryable = True


class AdapterError(SuiteError):
    """An adapter is missing, incomplete, damaged or made for another base."""

    code = "adapter"
    http_status = 503
    retryable = True


class MissingAdapter(AdapterError):
    """No adapter of that name is installed."""

    code = "missing_adapter"
