#!/usr/bin/env bash
# The paper's table: train grpo, grpo_bs256, cipo and cipo_offline from one start, evaluate all five models on the six
# math sets with the paper's protocol, and print one table beside the published figures.
#
#   scripts/paper_table.sh [options] [any Hydra override of the trainings]
#   scripts/paper_table.sh --setup organism_latin trainer.total_training_steps=4     # the whole way, small, on a CPU
#
#   --setup NAME    what is trained on (deepscaler: Qwen3-4B, the paper's); another one is evaluated on its own held-out set
#   --out DIR       where everything goes (outputs/paper_table/NAME)
#   --limit N       problems of each set that are evaluated
#   --dry-run       print the plan
#
# Call it again after an interruption: finished trainings, exports and evaluations are kept, others resume. MODEL is the
# start, DATA a folder with train.parquet and test.parquet, SETS the prepared sets (data); variables of compare.sh apply.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

SETUP=deepscaler
OUT=
LIMIT=()
DRY_RUN=()
OVERRIDES=()
while (($#)); do
  case $1 in
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/paper_table.sh; exit 0 ;;
    --setup | --out | --limit)
      if [[ -z ${2:-} ]]; then echo "paper_table: $1 needs a value" >&2; exit 2; fi
      case $1 in --setup) SETUP=$2 ;; --out) OUT=$2 ;; --limit) LIMIT=(--limit "$2") ;; esac
      if [[ $1 == --limit && ! $2 =~ ^[1-9][0-9]*$ ]]; then # evaluations would say so after days of training
        echo "paper_table: --limit $2: want a number of problems, 1 or more" >&2
        exit 2
      fi
      shift ;;
    --dry-run) DRY_RUN=(--dry-run) ;;
    -*) echo "paper_table: $1: no such option; see --help" >&2; exit 2 ;;
    *) OVERRIDES+=("$1") ;;
  esac
  shift
done

CONFIGS=(grpo grpo_bs256 cipo cipo_offline)
SETS=${SETS:-data}
SIX=(aime24 aime25 amc23 math500 minerva olympiadbench)
HELD_OUT=(--file "${DATA:-data/$SETUP}/test.parquet")
SMALL=("${HELD_OUT[@]}" --max-tokens 64 --max-model-len 256)
case $SETUP in
  deepscaler)
    START=Qwen/Qwen3-4B
    ASKED=(--benchmarks "${SIX[@]}" --data "$SETS" --chat-template-kwargs '{"enable_thinking": false}') ;;
  gsm8k) START=Qwen/Qwen2.5-0.5B-Instruct ASKED=("${HELD_OUT[@]}" --max-tokens 1024) ;;
  organism_latin | organism_chain) START=.models/organism-${SETUP#organism_} ASKED=("${SMALL[@]}") ;;
  two_digit | chain | sorting) START=.models/smollm2-135m-$SETUP ASKED=("${SMALL[@]}") ;;
  *) echo "paper_table: --setup $SETUP: want deepscaler, gsm8k, two_digit, chain, sorting or organism_*" >&2; exit 2 ;;
esac
START=${MODEL:-$START}
OUT=${OUT:-outputs/paper_table/$SETUP}
PYTHON=${PYTHON:-python}
if [[ -z ${DEVICE:-} ]]; then DEVICE=cpu; if command -v nvidia-smi > /dev/null; then DEVICE=gpu; fi; fi
export DEVICE # of compare.sh too

if [[ $DEVICE == cpu ]]; then
  scripts/setup_env.sh
  export PATH=$PWD/.venv/bin:$PATH VERL_PLATFORM=cpu
  PYTHON=python
fi

stage() { # MODULE arguments
  { printf '+ %s -m' "$PYTHON"; printf ' %q' "$@"; echo; } >&2
  [[ ${DRY_RUN[*]} ]] || "$PYTHON" -m "$@"
}

# Evaluations would prepare these too, but a set that cannot be had is to be known before days of training.
if [[ $SETUP == deepscaler ]]; then
  MISSING=()
  for name in "${SIX[@]}"; do [[ -f $SETS/$name/test.parquet ]] || MISSING+=("$name"); done
  [[ ! ${MISSING[*]} ]] || stage fail2fix.prepare "${MISSING[@]}" --out "$SETS"
fi

# Trainings of one seed. They differ in rollouts, as in the paper: grpo spends half.
scripts/compare.sh "${CONFIGS[@]}" --seeds 1 --unequal --out "$OUT" setup="$SETUP" "${DRY_RUN[@]}" "${OVERRIDES[@]}"

NAMED=()
for name in start "${CONFIGS[@]}"; do
  model=$START
  if [[ $name != start ]]; then
    model=$OUT/models/$name
    checkpoints=$OUT/training/$name/$name-seed0/checkpoints
    last=N
    if [[ -f $checkpoints/latest_checkpointed_iteration.txt ]]; then
      last=$(< "$checkpoints/latest_checkpointed_iteration.txt")
    elif [[ ! -d $model && ! ${DRY_RUN[*]} ]]; then
      echo "paper_table: $checkpoints: no checkpoint to export: put it back, or use another --out" >&2
      exit 2
    fi
    [[ -d $model ]] || stage fail2fix.export "$checkpoints/global_step_$last" "$model"
  fi
  stage fail2fix.evaluate --model "$model" --out "$OUT/evaluations/$name" "${ASKED[@]}" "${LIMIT[@]}"
  NAMED+=("$name=$OUT/evaluations/$name")
done
stage fail2fix.evaluate table "${NAMED[@]}" --out "$OUT"
