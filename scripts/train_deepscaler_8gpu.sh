#!/usr/bin/env bash
# CIPO on DeepScaleR with Qwen3-4B (thinking off), on one node of eight 80 GB GPUs.
#
#   pip install --no-deps -r scripts/locks/gpu-py312.txt && pip install --no-deps -e .      (Python 3.12, once)
#   pip install flash-attn==2.8.3 --no-build-isolation
#   scripts/train_deepscaler_8gpu.sh [--dry-run] [any Hydra override]
#
# Sizes and model are configs/setup/deepscaler.yaml's; CONFIG is the method, any name of configs/README.md.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python}
CONFIG=${CONFIG:-cipo}
DATA=${DATA:-$PWD/data/deepscaler}          # a folder with train.parquet and test.parquet

ARGS=(
  setup=deepscaler
  data.train_files="$DATA/train.parquet"
  data.val_files="$DATA/test.parquet"
  trainer.experiment_name="deepscaler-qwen3-4b-$CONFIG"
  'trainer.logger=[console,file,wandb]'
)
if [[ " $* " != *" --dry-run "* && ! -f $DATA/train.parquet ]]; then
  "$PYTHON" -m fail2fix.data.prepare deepscaler "$DATA"
fi
exec "$PYTHON" -m fail2fix.train --config-name "$CONFIG" "${ARGS[@]}" "$@"
