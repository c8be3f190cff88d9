"""Recipes about programs and their teachers."""
