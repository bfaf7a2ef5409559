"""One run from claim to its final state, and the child that computes it."""
