#!/usr/bin/env bash
# CIPO on DeepScaleR with Qwen3-4B (thinking off), on one node of eight 80 GB GPUs.
#
#   pip install --no-deps --require-hashes -r scripts/locks/gpu-py312.txt && pip install --no-deps -e .   (Python 3.12)
#   pip install flash-attn==2.8.3 --no-build-isolation   (optional: faster attention; sdpa without it)
#   scripts/train_deepscaler_8gpu.sh [--retry N] [--dry-run] [any Hydra override]
#
# Sizes and model are configs/setup/deepscaler.yaml's; CONFIG is the method, any name of configs/README.md. PYTHON and DATA:
# see train_setup.sh.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/train_setup.sh" deepscaler deepscaler-qwen3-4b "${CONFIG:-cipo}" "$@"
