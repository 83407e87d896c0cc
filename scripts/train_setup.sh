#!/usr/bin/env bash
# What the train_*.sh scripts share: prepare a GPU setup's data if it is not there, then train.
#
#   scripts/train_setup.sh SETUP NAME CONFIG [--dry-run] [any Hydra override]
#
# NAME-CONFIG is the experiment's name. PYTHON has the packages; DATA is a folder of yours with train.parquet and
# test.parquet, instead of data/SETUP.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -lt 3 ]]; then
  echo "train_setup: usage: scripts/train_setup.sh SETUP NAME CONFIG [any Hydra override]" >&2
  exit 2
fi
SETUP=$1
NAME=$2
CONFIG=$3
shift 3
PYTHON=${PYTHON:-python}
DATA=${DATA:-}

PREPARE=
if [[ -z $DATA ]]; then
  DATA=$PWD/data/$SETUP
  [[ -f $DATA/train.parquet ]] || PREPARE=1
fi
ARGS=(
  setup="$SETUP"
  data.train_files="$DATA/train.parquet"
  data.val_files="$DATA/test.parquet"
  trainer.experiment_name="$NAME-$CONFIG"
  'trainer.logger=[console,file,wandb]'
)
if [[ $PREPARE && " $* " != *" --dry-run "* ]]; then
  "$PYTHON" -m fail2fix.prepare "$SETUP" --out data
fi
exec "$PYTHON" -m fail2fix.train --config-name "$CONFIG" "${ARGS[@]}" "$@"
