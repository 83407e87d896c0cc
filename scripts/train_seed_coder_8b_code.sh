#!/usr/bin/env bash
# CIPO on LeetCodeDataset with Seed-Coder-8B-Instruct, on one node of eight 80 GB GPUs.
#
#   pip install --no-deps --require-hashes -r scripts/locks/gpu-py312.txt && pip install --no-deps -e .   (Python 3.12)
#   pip install flash-attn==2.8.3 --no-build-isolation   (optional: faster attention; sdpa without it)
#   scripts/train_seed_coder_8b_code.sh [--retry N] [--dry-run] [any Hydra override]
#
# Sizes and model are configs/setup/leetcode.yaml's; CONFIG is the method, any name of configs/README.md. PYTHON and DATA:
# see train_setup.sh.
#
# Programs run in bubblewrap sandboxes on each node (Debian: apt-get install bubblewrap), or at a SandboxFusion service:
#   pip install sandbox-fusion==0.3.7
#   ... fail2fix.verifier.code.backend=sandbox_fusion fail2fix.verifier.code.endpoint=http://HOST:8080
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/train_setup.sh" leetcode leetcode-seed-coder-8b "${CONFIG:-cipo_code}" "$@"
