"""Syntax tree to a checked program set: modules, names, bodies, tasks."""
