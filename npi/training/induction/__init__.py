"""Programs from traces alone: states inferred by merging, and what they read."""
