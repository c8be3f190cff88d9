"""Worlds of bodies that forces move."""
