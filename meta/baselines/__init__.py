"""Baseline agents of episodic worlds, from Thompson sampling to the Bayes optimum, and their rollouts."""
