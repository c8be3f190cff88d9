"""Trace sets on disk: checked, sharded, written whole."""
