"""A stand-in frontier for tests and demonstrations: no model, and never a provider.

A separate HTTP server that speaks the protocols of the real ones. It knows the right answers from
labels, wherever a passage has their words, is wrong as often as it is told about those, and
misbehaves as providers do, and worse. A label of which a part is masked or not sent is denied. All
it says is marked: the header `x-smallprint-stand-in`, the model `stand-in`. The suite takes its
answers only from a provider whose name begins so, it is nobody's default, and nothing is ever
learned from it.
"""

from infra.stand_in.labels import Labels
from infra.stand_in.server import Bill, Fault, StandIn

__all__ = ["Bill", "Fault", "Labels", "StandIn"]
