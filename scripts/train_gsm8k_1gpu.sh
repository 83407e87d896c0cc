#!/usr/bin/env bash
# CIPO on GSM8K with Qwen2.5-0.5B-Instruct, on one GPU of 24 GB or more.
#
#   pip install --no-deps -r scripts/locks/gpu-py312.txt && pip install --no-deps -e .      (Python 3.12, once)
#   pip install flash-attn==2.8.3 --no-build-isolation
#   scripts/train_gsm8k_1gpu.sh [--dry-run] [any Hydra override]
#
# Sizes and model are configs/setup/gsm8k.yaml's; CONFIG is the method, any name of configs/README.md.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python}
CONFIG=${CONFIG:-cipo}
DATA=${DATA:-$PWD/data/gsm8k}          # a folder with train.parquet and test.parquet

ARGS=(
  setup=gsm8k
  data.train_files="$DATA/train.parquet"
  data.val_files="$DATA/test.parquet"
  trainer.experiment_name="gsm8k-qwen2.5-0.5b-$CONFIG"
  'trainer.logger=[console,file,wandb]'
)
if [[ " $* " != *" --dry-run "* && ! -f $DATA/train.parquet ]]; then
  "$PYTHON" -m fail2fix.data.prepare gsm8k "$DATA"
fi
exec "$PYTHON" -m fail2fix.train --config-name "$CONFIG" "${ARGS[@]}" "$@"
