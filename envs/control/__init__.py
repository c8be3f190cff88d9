"""Worlds of hands and bodies that are moved by real numbers."""
