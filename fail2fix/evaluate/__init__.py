"""Evaluates a model on the benchmarks: answers in, numbers with intervals out.

Knows: prepared sets, prompts, engines, verifiers, intervals. Must not know: training, verl. vLLM is imported in
`vllm_engine.py` only, an endpoint's client in `openai_engine.py` only.
"""
