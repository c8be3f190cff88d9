"""Training a core, and rows beside a frozen core: dataset, loss, curriculum, checkpoints, ranks."""
