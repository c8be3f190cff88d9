"""Programs from traces alone: plans of inferred states, and rows that are followed through frames."""
