"""Several seeds of one training at once."""
