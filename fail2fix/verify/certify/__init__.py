"""Certificate of the math verifier: what it accepts and refuses, how fast, and compared with other verifiers.

python -m fail2fix.verify.certify [FILE.jsonl[.gz] ...] [--against math-verify,verl] [--out DIR]
"""
