"""Worlds of episodes that reward: bandits, the two-step task, Harlow's task."""
