"""Bodies to nodes to decision tables."""
