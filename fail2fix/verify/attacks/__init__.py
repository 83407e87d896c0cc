"""Answers that try to be paid without being right, and none of which may be accepted.

``written.jsonl`` holds the hand-written ones, one JSON object a line (``category``, ``gold``, ``response``);
``generated`` builds the rest from templates and a seed; ``corpus`` reads both. Knows no verifier.
"""
