"""How the specialist `review-priority` is made and measured."""
