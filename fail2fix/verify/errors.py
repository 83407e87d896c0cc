"""A row's ground truth that no answer can be judged by."""


class GroundTruthError(ValueError):
    """A ground truth that no answer can be judged by. The message is one line and names the field."""
