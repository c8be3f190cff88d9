"""Declarations: worlds as program files name them, and what a name means inside a body."""
