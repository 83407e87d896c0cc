"""Error of a malformed ground truth."""


class GroundTruthError(ValueError):
    """A ground truth that no answer can be judged against. The message is one line and names the field."""
