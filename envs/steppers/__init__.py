"""Steppers that need no network: decision tables, and two steppers that share the programs of a table."""
