"""The talk *Tools that learn*, row by row, from the pages of the recipes."""
