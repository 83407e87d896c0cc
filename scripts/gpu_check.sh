#!/usr/bin/env bash
# What a GPU has to show, from one command: both streams in sync, lambda = 0 is GRPO, sleep and wake, step times of the
# schedules, learning. On a machine without one it builds .venv and runs the same items on the CPU.
#
#   scripts/gpu_check.sh OUT [options of gpu_check.py] [key=value ...]   e.g. --items quickstart sleep --model /models/qwen
#   PYTHON=python scripts/gpu_check.sh data/results/gpu --model /models/qwen
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -lt 1 ]]; then
  echo "gpu_check: usage: scripts/gpu_check.sh OUT [options of gpu_check.py]" >&2
  exit 2
fi
PYTHON=${PYTHON:-python}
if ! command -v nvidia-smi > /dev/null; then
  scripts/setup_env.sh
  PYTHON=$PWD/.venv/bin/python
fi
MODEL=$PWD/.models/smollm2-135m-instruct
if [[ " $* " != *" --model"* ]]; then
  VERL_PLATFORM=cpu "$PYTHON" -m fail2fix.tasks.smollm2 "$MODEL"
  set -- "$@" --model "$MODEL"
fi
VERL_PLATFORM=cpu "$PYTHON" -m fail2fix.tasks.arithmetic data/arithmetic-seed0 --seed 0
exec "$PYTHON" scripts/gpu_check.py "$@"
