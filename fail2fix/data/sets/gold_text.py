r"""Gold answers as sets spell them, made bare.

Knows: boxes, integers in strange dress. Must not know: any one set.

>>> boxed(r"... so it is \boxed{1.6} \mathrm{~cm}."), integer("025"), integer("27.0"), integer(r"336^\circ")
('1.6', '25', '27', '336')
"""

import re

from fail2fix.data.sets.spec import UnusableRowError
from fail2fix.verify.answer_text import find_answer
from fail2fix.verify.exact_number import number

_BARE = re.compile(r"\\boxed\s*([0-9a-zA-Z])")
r"""`\boxed 9`: TeX takes one character."""


def boxed(solution: str) -> str:
    r"""The content of the last `\boxed{}` of a solution; units behind it are left out, as a policy may leave them out.

    Raises:
        UnusableRowError: there is none, or it is empty.
    """
    answer = find_answer(_BARE.sub(r"\\boxed{\1}", solution), "boxed").text
    if not answer:
        raise UnusableRowError("no boxed answer in its solution")
    return answer


def integer(text: str) -> str:
    """A whole number without leading zeros, decimals or degrees.

    Raises:
        UnusableRowError: it is something else.
    """
    found = number(text)
    if found is None or found.value.denominator != 1:
        raise UnusableRowError("its answer is no integer")
    return str(found.value)
