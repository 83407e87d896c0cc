#!/usr/bin/env bash
# A guided start, then CIPO, on GSM8K with Qwen2.5-0.5B-Instruct, on one GPU of 24 GB or more.
#
#   scripts/train_guided_gsm8k_1gpu.sh [--retry N] [--dry-run] [any Hydra override]
#   FROM=teacher TEACHER=NAME ENDPOINT=http://HOST:8000/v1 scripts/train_guided_gsm8k_1gpu.sh   (key: OPENAI_API_KEY)
#
# collect: the model's own verified rollouts. teach: its wrong attempts become verified corrections, sampled from the
# model itself (FROM=own), from a teacher, or from a task family's worked solutions (FROM=worked). warmup: supervised
# training on them. Then training as in train_gsm8k_1gpu.sh. Call it again after an interruption: each stage resumes,
# and a finished one is not repeated. Variables: below; CPU: scripts/README.md.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

SETUP=${SETUP:-gsm8k}
NAME=${NAME:-gsm8k-qwen2.5-0.5b-guided}
CONFIG=${CONFIG:-cipo}
MODEL=${MODEL:-Qwen/Qwen2.5-0.5B-Instruct}
PYTHON=${PYTHON:-python}
DATA=${DATA:-$PWD/data/$SETUP}            # a folder with train.parquet and test.parquet
GUIDED=${GUIDED:-$PWD/outputs/guided/$NAME}
FROM=${FROM:-own}                         # own, teacher or worked
TEACHER=${TEACHER:-}                      # with FROM=teacher: the name of its model, at ENDPOINT
ENDPOINT=${ENDPOINT:-}
MOST_TOKENS=${MOST_TOKENS:-20000000}      # of all answers of teach together
TEMPLATE=${TEMPLATE:-default}             # of correction prompts: default, diagnosis, verdict
WORDS=${WORDS:-}                          # a YAML file with fail2fix.correction, instead of TEMPLATE
PROBLEMS=${PROBLEMS:-2000}
SAMPLES=${SAMPLES:-4}                     # attempts a problem; most corrections of an attempt
MAX_TOKENS=${MAX_TOKENS:-1024}            # of an attempt
MAX_LENGTH=${MAX_LENGTH:-2560}            # tokens of a chat
STEPS=${STEPS:-100}
BATCH=${BATCH:-32}
LR=${LR:-1e-5}
SHARE=${SHARE:-0.5}                       # of corrections among the chats

read -ra ENGINE <<<"${ENGINE:-}"           # further options of vLLM, e.g. "--max-model-len 512"

DRY_RUN=
for argument in "$@"; do [[ $argument != --dry-run ]] || DRY_RUN=1; done

stage() { # MODULE arguments
  echo "+ $PYTHON -m $*" >&2
  [[ $DRY_RUN ]] || "$PYTHON" -m "$@"
}

CORRECTION=(--correction "{\"template\": \"$TEMPLATE\"}")
OVERRIDES=(fail2fix.correction.template="$TEMPLATE")
if [[ $WORDS ]]; then
  CORRECTION=(--corrections "$WORDS")
  OVERRIDES=()
fi
case $FROM in
  own) ASKED=(--model "$MODEL" ${ENGINE[@]+"${ENGINE[@]}"}) ;;
  teacher) ASKED=(--model "$TEACHER" --endpoint "$ENDPOINT") ;;
  worked) ASKED=() ;;
  *)
    echo "train_guided: FROM=$FROM: want own, teacher or worked" >&2
    exit 2 ;;
esac

[[ -f $DATA/train.parquet ]] || stage fail2fix.prepare "$SETUP" --out data
[[ -f $GUIDED/attempts/attempts.parquet ]] || stage fail2fix.collect --model "$MODEL" --data "$DATA/train.parquet" \
  --out "$GUIDED/attempts" --limit "$PROBLEMS" --samples "$SAMPLES" --max-tokens "$MAX_TOKENS" \
  ${ENGINE[@]+"${ENGINE[@]}"}
[[ -f $GUIDED/chats/chats.parquet ]] || stage fail2fix.teach --attempts "$GUIDED/attempts/attempts.parquet" \
  --out "$GUIDED/chats" --from "$FROM" ${ASKED[@]+"${ASKED[@]}"} --samples "$SAMPLES" --max-tokens "$MAX_TOKENS" \
  --most-tokens "$MOST_TOKENS" "${CORRECTION[@]}"
stage fail2fix.warmup --model "$MODEL" --chats "$GUIDED/chats/chats.parquet" --out "$GUIDED/start" \
  --steps "$STEPS" --batch-size "$BATCH" --lr "$LR" --correction-share "$SHARE" --max-length "$MAX_LENGTH"

START=$GUIDED/start
[[ -d $START || ! $DRY_RUN ]] || START=$MODEL # a dry run checks the model that is there
export DATA PYTHON
exec scripts/train_setup.sh "$SETUP" "$NAME" "$CONFIG" actor_rollout_ref.model.path="$START" \
  ${OVERRIDES[@]+"${OVERRIDES[@]}"} "$@"
