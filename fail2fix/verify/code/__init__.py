"""Verdicts from unit tests: a program is read out of a response and run in a sandbox, never in this process.

`verifier.py` is the door: `CodeVerifier(backend).verify(response, ground_truth)`. What a ground truth looks like is
in `ground_truth.py`, where programs run in `local.py` (bubblewrap) and `fusion.py` (SandboxFusion).
Must not know: verl, ray, vllm, torch.
"""
