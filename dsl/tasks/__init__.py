"""Tasks: how problems are drawn, laid into a world, and judged."""
