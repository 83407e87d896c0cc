#!/usr/bin/env bash
# A guided start, then training, then an evaluation of what was trained.
#
#   scripts/train_guided.sh SETUP [--retry N] [--dry-run] [any Hydra override]
#   scripts/train_guided.sh organism_latin       on a CPU; also organism_chain, and chain, sorting, two_digit (SmolLM2-135M)
#   scripts/train_guided.sh gsm8k                on one GPU of 24 GB or more
#   FROM=teacher TEACHER=NAME ENDPOINT=http://HOST:8000/v1 scripts/train_guided.sh gsm8k   (key: OPENAI_API_KEY)
#
# collect: the model's own verified rollouts. teach: its wrong attempts become verified corrections, sampled from the
# model itself (FROM=own), from a teacher, or from a task family's worked solutions (FROM=worked). warmup: supervised
# training on them. train: as train_setup.sh. export and evaluate: the test problems, with one round of corrections. Call
# it again after an interruption: each stage resumes, and a finished one is not repeated. Variables: below.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "train_guided: $1" >&2; exit 2; }

if [[ " $* " == *" -h "* || " $* " == *" --help "* ]]; then sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/train_guided.sh; exit 0; fi
[[ ${1:-} =~ ^[a-z0-9_]+$ ]] || fail "usage: scripts/train_guided.sh SETUP [any Hydra override]"
SETUP=$1
shift
ON_CPU=1
case $SETUP in # the defaults of what depends on the setup
  organism_*)
    OF_SETUP=("$PWD/.models/organism-${SETUP#organism_}" worked configs/setup/organism_latin.yaml 512 40 256 60 64 5e-4)
    [[ $SETUP != organism_chain ]] || OF_SETUP[4]=80 ;;
  two_digit | chain | sorting)
    OF_SETUP=("$PWD/.models/smollm2-135m-$SETUP" worked configs/setup/arithmetic.yaml 64 32 256 8 16 5e-5)
    case $SETUP in sorting) OF_SETUP[4]=16 ;; two_digit) OF_SETUP[4]=8 ;; esac ;;
  *)
    ON_CPU=
    OF_SETUP=("" own "" 2000 1024 2560 100 32 1e-5) ;;
esac
[[ $SETUP != gsm8k ]] || { OF_SETUP[0]=Qwen/Qwen2.5-0.5B-Instruct; NAME=${NAME:-gsm8k-qwen2.5-0.5b-guided}; }

NAME=${NAME:-$SETUP-guided}
CONFIG=${CONFIG:-cipo}
MODEL=${MODEL:-${OF_SETUP[0]}}
PYTHON=${PYTHON:-}                        # for a CPU setup, empty: .venv is built and used
DATA=${DATA:-$PWD/data/$SETUP}            # a folder with train.parquet and test.parquet
GUIDED=${GUIDED:-$PWD/outputs/guided/$NAME}
FROM=${FROM:-${OF_SETUP[1]}}              # own, teacher or worked
TEACHER=${TEACHER:-}                      # with FROM=teacher: its name at ENDPOINT, or a folder or hub id
ENDPOINT=${ENDPOINT:-}
ANSWERS=${ANSWERS:-}                      # a file of recorded answers to use and to continue
MOST_TOKENS=${MOST_TOKENS:-20000000}      # of all answers of teach together
TEMPLATE=${TEMPLATE:-}                    # of correction prompts: default, diagnosis, verdict, review
WORDS=${WORDS:-}                          # a YAML file with fail2fix.correction, instead of TEMPLATE
PROBLEMS=${PROBLEMS:-${OF_SETUP[3]}}
SAMPLES=${SAMPLES:-4}                     # attempts a problem; most corrections of an attempt
MAX_TOKENS=${MAX_TOKENS:-${OF_SETUP[4]}}  # of an attempt
MAX_LENGTH=${MAX_LENGTH:-${OF_SETUP[5]}}  # tokens of a chat
STEPS=${STEPS:-${OF_SETUP[6]}}            # of the warm-up
BATCH=${BATCH:-${OF_SETUP[7]}}
LR=${LR:-${OF_SETUP[8]}}
SHARE=${SHARE:-0.5}                       # of corrections among the chats
ENGINE=${ENGINE:-}                        # further options of vLLM, e.g. "--max-model-len 512"

[[ $MODEL ]] || fail "SETUP $SETUP: give its MODEL"

case $FROM in
  own) ASKED=(--model "$MODEL" --max-tokens "$MAX_TOKENS") ;;
  teacher) # writes a diagnosis too
    [[ $TEACHER ]] || fail "FROM=teacher: give TEACHER: its name at ENDPOINT or, without one, its folder or hub id"
    ASKED=(--model "$TEACHER" ${ENDPOINT:+--endpoint "$ENDPOINT"} --max-tokens $((MAX_TOKENS + 512))) ;;
  worked) ASKED=() ;;
  *) fail "FROM=$FROM: want own, teacher or worked" ;;
esac

# A setup's own words are in its config; a template has its own.
[[ $TEMPLATE ]] || WORDS=${WORDS:-${OF_SETUP[2]}}
OVERRIDES=(fail2fix.run.root="$GUIDED" fail2fix.run.name=run)
CORRECTION=(--corrections "$WORDS")
if [[ ! $WORDS ]]; then
  TEMPLATE=${TEMPLATE:-default}
  CORRECTION=(--correction "{\"template\": \"$TEMPLATE\"}")
  OVERRIDES+=(fail2fix.correction.template="$TEMPLATE")
fi

DRY_RUN=
DEVICE=$ON_CPU
for argument in "$@"; do
  case $argument in
    --dry-run) DRY_RUN=1 ;;
    device=* | +device=*) DEVICE= ;;
  esac
done
if [[ $ON_CPU ]]; then
  if [[ -z $PYTHON ]]; then
    scripts/setup_env.sh
    export PATH=$PWD/.venv/bin:$PATH VERL_PLATFORM=cpu
    PYTHON=python
  fi
  ENGINE=${ENGINE:---max-model-len 288}
  OVERRIDES+=('trainer.logger=[file]')
fi
[[ ! $DEVICE || ${VERL_PLATFORM:-} != cpu ]] || OVERRIDES+=(device="$(scripts/cpu_device.sh)")
export DATA PYTHON=${PYTHON:-python}
read -ra ENGINE <<<"$ENGINE"
if [[ $FROM == own || ($FROM == teacher && ! $ENDPOINT) ]]; then ASKED+=(${ENGINE[@]+"${ENGINE[@]}"}); fi

run() { # command
  echo "+ $*" >&2
  [[ $DRY_RUN ]] || "$@"
}

stage() { # MODULE arguments
  run "$PYTHON" -m "$@"
}

# A finished stage is not repeated, so its settings may not change.
SAID="$MODEL $DATA $FROM $TEACHER ${CORRECTION[*]} $PROBLEMS $SAMPLES $MAX_TOKENS ${ENGINE[*]-}"
if [[ -f $GUIDED/settings && $(<"$GUIDED/settings") != "$SAID" ]]; then
  fail "$GUIDED/settings: made with other settings ($(<"$GUIDED/settings")): choose another NAME"
fi
if [[ ! $DRY_RUN ]]; then
  rm -rf "$GUIDED"/.start.* "$GUIDED"/.trained-* # what a kill left of a model in the making
  mkdir -p "$GUIDED" && echo "$SAID" >"$GUIDED/settings"
fi

[[ -f $DATA/train.parquet && ($MODEL != /* || -d $MODEL) ]] || run scripts/prepare_setup.sh "$SETUP"
[[ -f $GUIDED/attempts/attempts.parquet ]] || stage fail2fix.collect --model "$MODEL" --data "$DATA/train.parquet" \
  --out "$GUIDED/attempts" --limit "$PROBLEMS" --samples "$SAMPLES" --max-tokens "$MAX_TOKENS" \
  ${ENGINE[@]+"${ENGINE[@]}"}
[[ -f $GUIDED/chats/chats.parquet ]] || stage fail2fix.teach --attempts "$GUIDED/attempts/attempts.parquet" \
  --out "$GUIDED/chats" --from "$FROM" ${ASKED[@]+"${ASKED[@]}"} --samples "$SAMPLES" \
  --most-tokens "$MOST_TOKENS" "${CORRECTION[@]}" ${ANSWERS:+--answers "$ANSWERS"}
stage fail2fix.warmup --model "$MODEL" --chats "$GUIDED/chats/chats.parquet" --out "$GUIDED/start" \
  --steps "$STEPS" --batch-size "$BATCH" --lr "$LR" --correction-share "$SHARE" --max-length "$MAX_LENGTH"

START=$GUIDED/start
[[ -d $START || ! $DRY_RUN ]] || START=$MODEL # a dry run checks the model that is there
RUN=$GUIDED/$NAME-$CONFIG/run
[[ -f $RUN/finished && ! $DRY_RUN ]] || scripts/train_setup.sh "$SETUP" "$NAME" "$CONFIG" \
  actor_rollout_ref.model.path="$START" "${OVERRIDES[@]}" "$@"

if [[ ! $DRY_RUN ]]; then
  [[ -f $RUN/finished ]] || { echo "train_guided: stopped before its last step; the same command resumes" >&2; exit 0; }
  STEP=$(<"$RUN/checkpoints/latest_checkpointed_iteration.txt")
fi
TRAINED=$GUIDED/trained-$CONFIG-${STEP:-STEP}
[[ -d $TRAINED ]] || stage fail2fix.export "$RUN/checkpoints/global_step_${STEP:-STEP}" "$TRAINED"
EVALUATION=$GUIDED/evaluation-$CONFIG-${STEP:-STEP}
[[ -f $EVALUATION/evaluation.json ]] || stage fail2fix.evaluate --model "$TRAINED" --file "$DATA/test.parquet" \
  --out "$EVALUATION" --self-correction 1 --max-tokens "$MAX_TOKENS" "${CORRECTION[@]}" ${ENGINE[@]+"${ENGINE[@]}"}
