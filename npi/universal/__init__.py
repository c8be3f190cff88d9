"""One frozen core into which any program over symbols is written, as a row."""
