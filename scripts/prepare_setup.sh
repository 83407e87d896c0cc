#!/usr/bin/env bash
# Make the data that a setup names (configs/setup/NAME.yaml), and for a CPU setup its model. Existing files are kept.
#
#   scripts/prepare_setup.sh arithmetic|two_digit|chain|sorting|programs|organism_latin|organism_chain
#   scripts/prepare_setup.sh gsm8k|deepscaler|leetcode
#
# The warm-up teaches the form of an answer and of a correction, hardly the task, so that both correct and wrong answers
# are common. An organism starts from random weights, so it learns the task too, and then from solutions of which half
# have a slip: like a model that read the web it can do more than it does, so reinforcement has something to find.
# PYTHON names your own environment's Python; without it .venv is built and used, on a CPU.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

NAME=${1:-}
case $NAME in
  -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/prepare_setup.sh; exit 0 ;;
  arithmetic | two_digit | chain | sorting | programs | organism_latin | organism_chain | gsm8k | deepscaler | leetcode) ;;
  *)
    echo "prepare_setup.sh: ${NAME:-no name}: want arithmetic, two_digit, chain, sorting, programs, organism_latin," \
      "organism_chain, gsm8k, deepscaler or leetcode" >&2
    exit 2 ;;
esac
PYTHON=${PYTHON:-}
if [[ -z $PYTHON ]]; then
  scripts/setup_env.sh
  export PATH=$PWD/.venv/bin:$PATH
  export VERL_PLATFORM=cpu
  PYTHON=python
fi
SMOLLM2=.models/smollm2-135m-instruct
WORDS=(--corrections configs/setup/organism_latin.yaml --templates default verdict)

warm_up() { # MODEL DATA options. The template leaves out SmolLM2's system message, some 20 tokens of every prompt.
  "$PYTHON" -m fail2fix.warmup --model "$SMOLLM2" --out "$1" --data "$2" --seed 0 \
    --corrections configs/setup/arithmetic.yaml --chat-template configs/setup/chatml.jinja "${@:3}"
}

organism() { # FAMILY options of the family: its data, and a model of random weights
  "$PYTHON" -m "fail2fix.data.tasks.$1" "data/organism_$1" --seed 0 --train 8192 --held-out 500 "${@:2}"
  "$PYTHON" -m fail2fix.data.organism ".models/organism-random-$1" --data "data/organism_$1" "${WORDS[@]}"
}

taught() { # FAMILY MODEL TAUGHT options of a warm-up
  "$PYTHON" -m fail2fix.warmup --model ".models/organism-$2" --out ".models/organism-$3" --data "data/organism_$1" \
    "${WORDS[@]}" --batch-size 64 --schedule cosine "${@:4}"
}

case $NAME in
  arithmetic | two_digit | chain | sorting | programs) "$PYTHON" -m fail2fix.data.tasks.smollm2 "$SMOLLM2" ;;
  organism_latin)
    organism latin --fewest 2 --most 7
    taught latin random-latin latin-right --seed 0 --steps 500 --lr 2e-3
    taught latin latin-right latin --seed 1 --steps 120 --lr 1e-3 --slips 0.5 ;;
  organism_chain)
    organism chain --steps 4 --longest 6 --low 1 --high 9 --train 4096
    taught chain random-chain chain-right --seed 0 --steps 400 --lr 2e-3
    taught chain chain-right chain --seed 1 --steps 120 --lr 1e-3 --slips 0.5 ;;
  gsm8k | deepscaler | leetcode) # the model is the hub's
    [[ -f data/$NAME/train.parquet ]] || "$PYTHON" -m fail2fix.prepare "$NAME" --out data ;;
esac

case $NAME in
  arithmetic) # its own folder: the quickstart's SEED may change between two calls
    "$PYTHON" -m fail2fix.data.tasks.arithmetic data/arithmetic-seed0 --seed 0 ;;
  programs)
    "$PYTHON" -m fail2fix.data.tasks.programs data/programs --seed 0 --train 256 --held-out 64 ;;
  two_digit)
    "$PYTHON" -m fail2fix.data.tasks.two_digit data/two_digit --seed 0 --low 10 --high 99 --train 1024 --held-out 200
    warm_up .models/smollm2-135m-two_digit data/two_digit --steps 12 --lr 5e-5 ;;
  chain)
    "$PYTHON" -m fail2fix.data.tasks.chain data/chain --seed 0 --steps 2 --low 2 --high 50 --train 1024 --held-out 200
    warm_up .models/smollm2-135m-chain data/chain --steps 8 --lr 5e-5 ;;
  sorting)
    "$PYTHON" -m fail2fix.data.tasks.sorting data/sorting --seed 0 --items letters --length 3 --train 1024 --held-out 200
    warm_up .models/smollm2-135m-sorting data/sorting --steps 12 --lr 5e-5 ;;
esac
