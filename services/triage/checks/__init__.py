"""From broken relations to findings: suspects, classifier, root causes."""
