"""Evaluate a model on benchmarks: answers, verdicts, and figures with intervals. Also compare two evaluations.

vLLM is imported in `vllm_engine.py` only, an endpoint's client in `openai_engine.py` only.
"""
