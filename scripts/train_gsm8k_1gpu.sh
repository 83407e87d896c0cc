#!/usr/bin/env bash
# CIPO on GSM8K with Qwen2.5-0.5B-Instruct, on one GPU of 24 GB or more.
#
#   pip install --no-deps --require-hashes -r scripts/locks/gpu-py312.txt && pip install --no-deps -e .   (Python 3.12)
#   pip install flash-attn==2.8.3 --no-build-isolation   (optional: faster attention; sdpa without it)
#   scripts/train_gsm8k_1gpu.sh [--retry N] [--dry-run] [any Hydra override]
#
# Sizes and model are configs/setup/gsm8k.yaml's; CONFIG is the method, any name of configs/README.md. PYTHON and DATA:
# see train_setup.sh.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/train_setup.sh" gsm8k gsm8k-qwen2.5-0.5b "${CONFIG:-cipo}" "$@"
