"""Compare configs at equal cost: run them over seeds, keep a small record of each run, draw one picture.

    python -m fail2fix.compare CONFIG_A CONFIG_B ... --seeds N [--rollouts BUDGET] [--out DIR] [key=value ...]

One idea a file: ``plan`` (what is run), ``run`` (running it), ``records`` (what is kept of a run), ``statistics``
(intervals), ``equal_cost`` (the 1 % rule), ``summary`` (all numbers), ``table`` and ``picture`` (shown). Knows the
command line of ``fail2fix.train`` and the files of a run folder; must not know verl, Ray, vLLM or torch.
"""
