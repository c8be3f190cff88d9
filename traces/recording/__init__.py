"""What the machine records: traces as columns, frames and their counts, traces as text."""
