"""Worlds that have a loss: functions and networks whose parameters are the state."""
