r"""The template ``diagnosis``: first what is wrong, or that nothing is, then the corrected solution (ours).

>>> Diagnosis().judged("Is it 11? No.\n\nCorrected solution:\n7 + 5 = 12", "7 + 5 = 11")
'7 + 5 = 12'
"""

import re

from fail2fix.method.templates.default import Default

HEADING = "Corrected solution:"
NOTHING_WRONG = "Nothing is wrong."
_LINE = re.compile(rf"^[^\w\n]*{HEADING.rstrip(':')}[^\w\n]*$\n?", re.IGNORECASE | re.MULTILINE)


def parts(response: str) -> tuple[str, str] | None:
    """The diagnosis and the solution of a response: what stands before and after its last heading; None without one."""
    headings = list(_LINE.finditer(response))
    if not headings:
        return None
    return response[: headings[-1].start()].strip(), response[headings[-1].end() :].strip()


class Diagnosis(Default):
    """Room to think about the attempt; only the text after the heading is judged."""

    instruction = (
        "The attempt above may be right or wrong. First say what is wrong in it, or that nothing is. Then write "
        f'"{HEADING}" on a line of its own, and after it the full corrected solution with the final answer in the form '
        "the problem asks for."
    )

    def judged(self, response: str, attempt: str) -> str:
        """The solution; a response without the heading is judged as a whole."""
        found = parts(response)
        return found[1] if found else response

    def written(self, diagnosis: str, solution: str) -> str:
        """The diagnosis, the heading and the solution."""
        return f"{diagnosis or NOTHING_WRONG}\n\n{HEADING}\n{solution}"
