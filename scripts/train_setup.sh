#!/usr/bin/env bash
# What the train_*.sh scripts share: prepare a GPU setup's data if missing, then train.
#
#   scripts/train_setup.sh SETUP NAME CONFIG [--retry N] [--dry-run] [any Hydra override]
#
# NAME-CONFIG is the experiment's name. --retry N restarts the run at most N times from its last checkpoint, after
# faults that a restart can help (fail2fix/retry.py). PYTHON has the packages; DATA is your folder with
# train.parquet and test.parquet, instead of data/SETUP. Metrics go to wandb too: WANDB_API_KEY, WANDB_MODE=offline, or
# 'trainer.logger=[file]'.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ " $* " == *" -h "* || " $* " == *" --help "* ]]; then sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/train_setup.sh; exit 0; fi
if [[ $# -lt 3 ]]; then
  echo "train_setup: usage: scripts/train_setup.sh SETUP NAME CONFIG [--retry N] [any Hydra override]" >&2
  exit 2
fi
SETUP=$1
NAME=$2
CONFIG=$3
shift 3
PYTHON=${PYTHON:-python}
DATA=${DATA:-}

START=(fail2fix.train)
OVERRIDES=()
while (($#)); do
  if [[ $1 != --retry ]]; then
    OVERRIDES+=("$1")
  elif [[ ${2:-} =~ ^[0-9]+$ ]]; then
    START=(fail2fix.retry "$2")
    shift
  else
    echo "train_setup: --retry ${2:-}: needs a number of restarts" >&2
    exit 2
  fi
  shift
done

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
  'trainer.logger=[file,wandb]'
)
if [[ $PREPARE && " ${OVERRIDES[*]-} " != *" --dry-run "* ]]; then
  "$PYTHON" -m fail2fix.prepare "$SETUP" --out data
fi
exec "$PYTHON" -m "${START[@]}" --config-name "$CONFIG" "${ARGS[@]}" "${OVERRIDES[@]}"
