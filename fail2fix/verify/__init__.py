"""Verifiers of answers. Model text is judged only in worker processes under a deadline."""
