"""Learning to optimise by gradient descent."""
