"""Recipes about programs with a learning signal."""
