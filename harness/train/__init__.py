"""The training loop of every method: batches, rollouts, losses, checkpoints, processes."""
