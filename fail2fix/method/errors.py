"""The one error that is the user's to correct."""


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: which key, file or row, what, and what to do."""
