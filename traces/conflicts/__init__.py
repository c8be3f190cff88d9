"""Steps that contradict each other, and the smallest inputs that show it."""
