"""The machines of a run: Ray, CPUs, GPUs, processes, shared memory."""
