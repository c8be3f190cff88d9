"""Recipes that measure the results of the NPI paper."""
