"""Training runs: settings, folder, checkpoints, metrics, faults, the driver process."""
