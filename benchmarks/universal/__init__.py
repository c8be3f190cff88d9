"""Recipes about the universal core."""
