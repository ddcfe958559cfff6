"""Errors of base and adapters; each message names the file and the remedy.

Both are faults of the installation, not of a document, so a worker retries. No document fails
because an adapter is being replaced.
"""

from __future__ import annotations

from shared.errors import SuiteError


class BaseError(SuiteError):
    """The base model is missing, damaged or ambiguous."""

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
