"""Mistakes of program files: their codes, wording, examples and fixes."""
