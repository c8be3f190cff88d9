"""Over-imitation and tasks from one replay memory (Le Paine et al. 2018, "MetaMimic")."""
