"""Syntax tree to text in the canonical layout."""
