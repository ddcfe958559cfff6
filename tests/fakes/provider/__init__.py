"""A stand-in for a frontier provider, for tests and demonstrations. It is no model.

A separate HTTP server that speaks the protocols of real providers. It answers from labels, errs at
a chosen rate, and has the faults of providers and some worse ones. It denies a label that is partly
masked or not sent. All answers are marked: the header `x-smallprint-stand-in`, the model
`stand-in`. The suite only accepts them from a provider with such a name, uses it nowhere by
default, and never learns from it.
"""

from tests.fakes.provider.labelled_answers import Labels
from tests.fakes.provider.server import ENTRY, Bill, Fault, StandIn

__all__ = ["ENTRY", "Bill", "Fault", "Labels", "StandIn"]
