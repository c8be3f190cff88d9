"""Recipes about time and memory."""
