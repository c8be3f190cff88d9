"""Proofs for every input, their certificates, and the independent checker."""
