"""What can be wrong with a base or an adapter; each message names the file and what to do."""

from __future__ import annotations

from shared.errors import SuiteError


class BaseError(SuiteError):
    """The base model is missing, damaged or not alone in its folder."""

    code = "base"


class AdapterError(SuiteError):
    """An adapter is missing, incomplete, damaged or made for another base."""

    code = "adapter"
