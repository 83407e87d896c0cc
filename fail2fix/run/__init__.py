"""A training run as a folder and a process: settings, checkpoints, metrics, faults, the driver."""
