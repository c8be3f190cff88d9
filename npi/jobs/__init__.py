"""Whole jobs on files: from program files or trace sets to a library."""
