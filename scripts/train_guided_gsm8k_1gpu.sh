#!/usr/bin/env bash
# The guided start with Qwen2.5-0.5B-Instruct on GSM8K, on one GPU of 24 GB or more: see train_guided.sh.
#
#   scripts/train_guided_gsm8k_1gpu.sh [--retry N] [--dry-run] [any Hydra override]
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/train_guided.sh" gsm8k "$@"
