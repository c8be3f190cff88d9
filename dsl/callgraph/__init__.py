"""Call graphs, and their pictures."""
