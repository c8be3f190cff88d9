"""One-shot imitation: policies that are told what to do by a demonstration, or by a row that one was made into."""
