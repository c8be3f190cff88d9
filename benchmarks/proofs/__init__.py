"""Recipes about certificates and compiled cores."""
