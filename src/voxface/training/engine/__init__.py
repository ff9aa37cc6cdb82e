"""The training loop: runs, checkpoints, trained networks, learning curves, processes."""
