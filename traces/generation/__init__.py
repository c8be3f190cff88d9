"""Trace sets from program files, in parallel and on several hosts."""
