"""verl's own math verifier, as a certificate or a benchmark asks it: one response and its gold answer."""

from verl.utils.reward_score.math_verify import compute_score


def accepts(response: str, gold: str) -> bool:
    """Whether verl's `math_verify.compute_score` pays for the response. It raises nothing: errors are unpaid."""
    return compute_score(response, gold) > 0.5
