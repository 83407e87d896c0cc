"""Compare configs at equal cost: run them over seeds, keep a small record of each run, draw one picture.

Knows the command line of ``fail2fix.train`` and the files of a run folder; must not know verl, Ray, vLLM or torch.
"""
