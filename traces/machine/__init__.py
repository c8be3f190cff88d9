"""Algorithm 1 of NPI for a batch: in lockstep for any stepper, and compiled for tables on scratch pads."""
