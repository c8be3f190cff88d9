"""Ways to train a learner's core and rows; each is an :class:`npi.training.loop.Objective`."""
