"""Ways in which a row conditions a network, compared."""
