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
for argument in "$@"; do
  case $argument in -h | --help) exec python3 scripts/gpu_check.py --help ;; esac
done
PYTHON=${PYTHON:-python}
if ! command -v nvidia-smi > /dev/null; then
  scripts/setup_env.sh
  PYTHON=$PWD/.venv/bin/python
fi
# Without a setup of its own it trains SmolLM2 on one-digit arithmetic, made here; a setup's own model is the hub's.
if [[ " $* " != *" --setup"* ]]; then
  VERL_PLATFORM=cpu "$PYTHON" -m fail2fix.tasks.arithmetic data/arithmetic-seed0 --seed 0
  if [[ " $* " != *" --model"* ]]; then
    VERL_PLATFORM=cpu "$PYTHON" -m fail2fix.tasks.smollm2 .models/smollm2-135m-instruct
    set -- "$@" --model "$PWD/.models/smollm2-135m-instruct"
  fi
else
  SETUP=$(sed -E 's/.*--setup[= ]([^ ]+).*/\1/' <<< "$*")
  PYTHON=$PYTHON scripts/prepare_setup.sh "$SETUP"
fi
exec "$PYTHON" scripts/gpu_check.py "$@"
