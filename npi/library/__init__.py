"""Libraries on disk: manifest, rows, program files, row files, and operations between libraries."""
