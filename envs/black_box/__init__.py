"""Worlds whose functions are known by their values alone: one asks for the value at a point."""
