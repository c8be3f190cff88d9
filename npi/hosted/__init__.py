"""Programs with a learning signal in place of a body, and the learners that the engine hosts for them."""
