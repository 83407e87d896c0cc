r"""Names in front of values: what `name = value` names, and whether two answers name different things.

Knows: sides of equations and names (`answer_form`). Must not know: values, verdicts.

>>> name("f(x) = 2"), unnamed("f(x) = 2"), named_apart("x=4", "y=4"), named_apart("f(x)=4", "f=4")
('f(x)', '2', True, False)
"""

import re

from fail2fix.verify import answer_form as form
from fail2fix.verify.equivalence import letters
from fail2fix.verify.latex_text import key

_OF_A_LETTER = re.compile(r"\([a-zA-Z]\)$")


def named_apart(gold: str, pred: str) -> bool:
    """Whether both name their values differently: `a_3 = 2` is not `a_{37} = 2`."""
    one, two = name(gold), name(pred)
    if one and not two:
        label = (form.sides(pred) or [""])[0]
        return form.is_term(label) and letters(one) <= letters(label)  # `x^2 = 4` is not `x = 4`
    functions = [_OF_A_LETTER.search(name) for name in (one, two)]
    if "y" in (one, two) and any(functions):
        return False  # the graph of f
    # The letter of a function's argument may be left out.
    return "" not in (one, two) and one != two and (all(functions) or _bare(one) != _bare(two))


def _bare(name: str) -> str:
    return _OF_A_LETTER.sub("", name)


def name(text: str) -> str:
    """The name in `name = value`, or ""."""
    sides = form.sides(text)
    return key(sides[0]) if len(sides) == 2 and form.is_name(sides[0]) else ""


def is_equation(text: str) -> bool:
    """Whether `text` relates two expressions, neither of which is a name."""
    sides = form.sides(text)
    return len(sides) == 2 and not form.is_name(sides[0]) and len(form.items(text)) == 1


def unnamed(text: str) -> str:
    """The right side of `name = value`, or `text`."""
    sides = form.sides(text)
    named = len(sides) == 2 and form.is_name(sides[0])
    # `x = 3x` gives no name to 3x.
    if named and len(sides[0]) == 1 and sides[0] in re.sub(r"\\[a-zA-Z]+", "", sides[1]):
        return text
    # `(p,q) = (3,2)` names one pair; `x, y = 2` names nothing.
    return sides[1] if named and (len(form.items(sides[0])) < 2 or form.bracketed(sides[0])) else text
