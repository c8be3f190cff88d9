"""Recipes that name characters."""
