"""Verdicts on answers: model text is judged in worker processes under a deadline, nowhere else."""
