"""The command line. Nothing in the engine imports it."""
