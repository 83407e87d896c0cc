"""Fail2Fix: train language models to fix their own mistakes (CIPO, arXiv 2605.14539), as a verl recipe.

Importing this package is instant: it loads neither torch nor verl.
"""

__version__ = "0.1.0"
