"""The template ``default``: check the attempt, preserve what is right, repair what is wrong (CIPO; our words)."""


class Default:
    """Asks for the full corrected solution, with the answer in the form that the problem asks for."""

    header = "Below is an attempt at this problem, quoted as it was written."
    instruction = (
        "The attempt above may be right or wrong. Check it step by step, preserve what is right and repair what "
        "is wrong. Then write out the full corrected solution and give the final answer in the form the problem "
        "asks for."
    )

    def judged(self, response: str, attempt: str) -> str:
        """The whole response."""
        return response

    def written(self, diagnosis: str, solution: str) -> str:
        """The solution alone."""
        return solution
