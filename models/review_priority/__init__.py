"""The specialist `review-priority` of review."""
