#!/usr/bin/env bash
# The whole method on a CPU, in minutes: a 135 M model learns single-digit arithmetic from its own answers and from
# corrections of its own mistakes. Builds its environment, model and data on the first call; ends with a table of
# the results, also if LIMIT stops it. Other scripts: scripts/README.md.
#
#   scripts/quickstart.sh [--dry-run] [any Hydra override]
#   SEED=1 LIMIT=3600 scripts/quickstart.sh trainer.total_training_steps=100
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SEED=${SEED:-0}
RUN=${RUN:-$(date +%Y%m%d-%H%M%S)-seed$SEED}
RUN_DIR=outputs/quickstart/$RUN
MODEL=${MODEL:-}                      # a model folder (absolute path) or hub id; empty: SmolLM2-135M-Instruct
DATA=${DATA:-$PWD/data/arithmetic}
LIMIT=${LIMIT:-840}                   # seconds of training, then it is stopped

DRY_RUN=
for argument in "$@"; do
  case $argument in
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/quickstart.sh; exit 0 ;;
    --dry-run) DRY_RUN=1 ;;
  esac
done

scripts/setup_env.sh
export PATH=$PWD/.venv/bin:$PATH
export VERL_PLATFORM=cpu

if [[ -z $MODEL ]]; then
  MODEL=$PWD/.models/smollm2-135m-instruct
  [[ $DRY_RUN ]] || python -m fail2fix.data.tasks.smollm2 "$MODEL"
fi
[[ $DRY_RUN ]] || python -m fail2fix.data.tasks.arithmetic "$DATA" --seed "$SEED"

ARGS=(
  device="$(scripts/cpu_device.sh)"
  actor_rollout_ref.model.path="$MODEL"
  data.train_files="$DATA/train.parquet"
  data.val_files="$DATA/test.parquet"
  trainer.experiment_name=quickstart
  fail2fix.seed="$SEED"
  fail2fix.run.name="$RUN"
)

# --foreground: Ctrl-C reaches the training, which finishes its step and saves. Ray's own processes end with their driver.
STATUS=0
LIMITED=124
timeout --foreground --kill-after=600 "$LIMIT" python -m fail2fix.train --config-name quickstart "${ARGS[@]}" "$@" \
  || STATUS=$?

if ((STATUS == LIMITED)); then
  echo "quickstart: stopped after $LIMIT s; LIMIT=SECONDS gives it longer" >&2
  STATUS=0
fi
# Ctrl-C (130) and SIGTERM (143) end a run whose last step is saved and validated.
if [[ ! $DRY_RUN ]] && ((STATUS == 0 || STATUS == 130 || STATUS == 143)); then python -m fail2fix.report "$RUN_DIR"; fi
exit "$STATUS"
