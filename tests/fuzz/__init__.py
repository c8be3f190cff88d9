"""Coverage-guided fuzzing of the program language: ``python -m tests.fuzz parser``, ``checker`` or ``teacher``."""
