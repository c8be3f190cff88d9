"""The networks: encoders, the discrete core and the LSTM core, and their settings."""
