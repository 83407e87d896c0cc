"""Attacks on the math verifier: wrong answers that try to be accepted.

``written.jsonl`` holds hand-written ones, one JSON object per line (``category``, ``gold``, ``response``);
``generated`` makes the others from ``templates.json`` and a seed; ``corpus`` reads both.
"""
