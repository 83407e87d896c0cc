"""The template ``review``: go through the attempt step by step, then give the refined solution.

This is what ThinkTwice asks for (arXiv 2604.01591), with form ``turn``; words ours.
"""

from fail2fix.method.templates.default import Default


class Review(Default):
    """Mistakes are named and put right; an attempt without one is confirmed and explained anew."""

    instruction = (
        "Review the solution above. Go through it one step at a time and look for mistakes: in the calculations, in "
        "the logic, in how the problem was read. Where you find one, say what is wrong and how it is done right. Where "
        "you find none, confirm each step and explain it more clearly. End with your refined solution and the final "
        "answer in the form the problem asks for."
    )
