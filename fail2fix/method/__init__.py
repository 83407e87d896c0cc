"""The method, in plain values: no verl, no ray, no vllm."""
