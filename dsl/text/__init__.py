"""Text to syntax tree: the grammar, the parser, recovery from mistakes, the limit on nesting."""
