"""Programs with a learning signal: what a learner supplies, its training, its rows, its conformance kit."""
