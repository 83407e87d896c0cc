r"""Normalize gold answers of mathematics to the form that the verifier reads.

Must not know: any one set.

>>> boxed(r"... so it is \boxed{1.6} \mathrm{~cm}."), integer("025"), integer("27.0"), integer(r"336^\circ")
('1.6', '25', '27', '336')
"""

import json

from fail2fix.data.sets.spec import UnusableRowError
from fail2fix.verify.answer_text import find_answer
from fail2fix.verify.exact_number import number

TOLERANCE = 1e-4
"""Relative; as in Qwen2.5-Math's evaluation of Minerva, and in CriticBench's own scorer."""


def boxed(solution: str) -> str:
    r"""Content of the last `\boxed{}` of a solution, without units after the box.

    Raises:
        UnusableRowError: there is no box, or it is empty.
    """
    answer = find_answer(solution, "boxed").text
    if not answer:
        raise UnusableRowError("no boxed answer in its solution")
    return answer


def integer(text: str) -> str:
    """A whole number without leading zeros, decimals or degrees.

    Raises:
        UnusableRowError: it is not a whole number.
    """
    found = number(text)
    if found is None or found.value.denominator != 1:
        raise UnusableRowError("its answer is no integer")
    return str(found.value)


def tolerant(answer: str) -> str:
    """The ground truth of an answer: within `TOLERANCE` if it is a number, exact otherwise."""
    if number(answer) is None:
        return answer
    return json.dumps({"answer": answer, "relative_tolerance": TOLERANCE})
