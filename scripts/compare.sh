#!/usr/bin/env bash
# Compare configs at equal cost: run them one after another over seeds, then write a table, a JSON and one picture.
#
#   scripts/compare.sh CONFIG_A CONFIG_B ... --seeds N [options] [any Hydra override]
#   scripts/compare.sh grpo_bs256 cipo --seeds 3 --rollouts 1536 setup=chain --out outputs/cipo-or-grpo
#   PYTHON=python scripts/compare.sh grpo_bs256 cipo --seeds 3 --rollouts 102400 setup=gsm8k
#
#   --seeds N             how many seeds
#   --first-seed S        seeds S to S + N - 1 (0)
#   --rollouts BUDGET     training rollouts of each run; without it, the configs' own length
#   --out DIR             where everything goes (outputs/compare)
#   --unequal             compare runs whose rollouts differ by more than 1 %, with a warning; else exit 2
#   --dry-run             print the commands of what would run
#   --only-report         run nothing: report from the records
#
# CONFIG is a file of configs/ that says the method; the first is the reference. setup= says what is trained on.
# Finished runs are kept: the same command resumes an interrupted comparison, also on another machine. DIR/runs/ holds a small
# record of each finished run; copy it and DIR/held_out_attempts.parquet, no more. DIR, MODEL and DATA are taken from
# the project's folder unless absolute. The folder of a finished run in DIR/training can be deleted.
#
# Without a GPU (no nvidia-smi, or DEVICE=cpu) it builds .venv and trains with device=cpu, and unless you give another
# setup= on setup=arithmetic; device=cpu_fp32 is faster where scripts/cpu_device.sh names it. With a GPU it uses the
# packages of PYTHON. The model and data of a shipped setup are prepared (prepare_setup.sh).
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

DEVICE=${DEVICE:-}                    # cpu or gpu; empty: gpu where nvidia-smi is
PYTHON=${PYTHON:-python}              # of a GPU machine
MODEL=${MODEL:-}                      # a model folder or hub id; empty: the setup's own
DATA=${DATA:-}                        # a folder with train.parquet and test.parquet; empty: the setup's own

SETUP=
CPU=(device=cpu)
OWN_DATA=
REPORT_ONLY=
for argument in "$@"; do
  case $argument in
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/compare.sh; exit 0 ;;
    --dry-run | --only-report) REPORT_ONLY=1 ;;
    device=* | +device=*) CPU=() ;;
    setup=* | +setup=*) SETUP=${argument#*=} ;;
    data.train_files=* | data.val_files=*) OWN_DATA=1 ;;
  esac
done
if [[ -z $DEVICE ]]; then DEVICE=cpu; if command -v nvidia-smi > /dev/null; then DEVICE=gpu; fi; fi

ARGS=()
if [[ $DEVICE == cpu ]]; then
  scripts/setup_env.sh
  export PATH=$PWD/.venv/bin:$PATH
  export VERL_PLATFORM=cpu
  PYTHON=python
  ARGS+=(${CPU[@]+"${CPU[@]}"})
  if [[ -z $SETUP ]]; then
    # Its reward reads a single number: it would score other data with it.
    if [[ $OWN_DATA || $DATA ]]; then echo "compare.sh: data of your own: say what it is with setup=" >&2; exit 2; fi
    SETUP=arithmetic
    ARGS+=(setup=arithmetic)
  fi
fi

PREPARED=$REPORT_ONLY
case $SETUP in
  arithmetic | two_digit | chain | sorting | programs | organism_*) if [[ $MODEL && $DATA ]]; then PREPARED=1; fi ;;
  gsm8k | deepscaler | leetcode) if [[ $DATA ]]; then PREPARED=1; fi ;;
  *) PREPARED=1 ;; # a setup of your own, or none
esac
[[ $PREPARED ]] || PYTHON=$PYTHON scripts/prepare_setup.sh "$SETUP"
if [[ $MODEL ]]; then ARGS+=(actor_rollout_ref.model.path="$MODEL"); fi
if [[ $DATA ]]; then ARGS+=(data.train_files="$DATA/train.parquet" data.val_files="$DATA/test.parquet"); fi

exec "$PYTHON" -m fail2fix.compare ${ARGS[@]+"${ARGS[@]}"} "$@"
