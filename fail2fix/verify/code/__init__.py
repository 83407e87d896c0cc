"""Verdicts from unit tests: a program is read from a response and run in a sandbox, never in this process.

Begin with `verifier.py`; `ground_truth.py` documents ground truths. Programs run in `local.py` (bubblewrap) or
`fusion.py` (SandboxFusion). Must not know: verl, ray, vllm, torch.
"""
