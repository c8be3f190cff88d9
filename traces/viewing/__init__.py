"""Traces for people: states, pages, animations, comparisons."""
