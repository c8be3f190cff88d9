"""Traces for people: films, pages, animations, comparisons."""
