"""A certificate of the math verifier: what it accepts and refuses, how fast, and against whom.

    python -m fail2fix.verify.certify [FILE.jsonl[.gz] ...] [--truth DIR] [--against math-verify,verl] [--out DIR]

One idea a file: ``rows`` (truth sets), ``judging`` (our pool, timed), ``peers`` (the others, killable), ``figures``
(counts and times), ``origin`` (versions and machine), ``table`` (shown). The attack corpus is
``fail2fix.verify.attacks``.
"""
