"""What can be said about a program before it is trained: learnability, unreachable symbols, equivalence."""
