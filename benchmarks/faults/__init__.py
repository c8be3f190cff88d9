"""Trials of faults: commands that are killed, run side by side or on a full disk, and files that are damaged."""
