#!/usr/bin/env bash
# A Ray cluster over several machines, and a training run on it. For SLURM: slurm_train.sh.
#
#   scripts/cluster.sh head [any option of `ray start`]                    on the first machine
#   scripts/cluster.sh join HOST[:PORT] [any option of `ray start`]        on every other; HOST is the first
#   scripts/cluster.sh train RUN SETUP NAME CONFIG [--retry N] [--dry-run] [any Hydra override]      on the first
#   scripts/cluster.sh down                                                on each
#
#   scripts/cluster.sh train my-run deepscaler deepscaler-qwen3-4b cipo --retry 5 trainer.nnodes=4
#
# `head` and `join` return when this machine's node is up; `--dry-run` prints what they would start. `train` submits
# train_setup.sh as a Ray job, which keeps running without the terminal, and prints its output (not with DETACH=1). RUN
# is the run's name: after a preemption the same command resumes from its last checkpoint. On one machine, `head` and
# `train` are enough, or train_setup.sh alone.
#
# Every machine needs this folder at the same path with the same packages, and a shared disk for outputs/ and
# data/. Export secrets (WANDB_API_KEY, HF_TOKEN) before `head` and `join`: training runs inherit the node's
# environment, and nothing of it is printed or stored. Ray accepts commands from anyone who reaches its ports: keep them
# inside your network, or share a token (RAY_AUTH_MODE=token).
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python}
PORT=${PORT:-6379}                                          # of the head
JOBS=${JOBS:-http://127.0.0.1:8265}                         # where the head takes jobs
NODE=${NODE:-${TMPDIR:-/tmp}/fail2fix-node-$(id -u)}        # this machine's node: its process id and log
DETACH=${DETACH:-}

die() { echo "cluster: $*" >&2; exit 2; }
usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/cluster.sh; }
# A zombie has no command line, another program another one; a node that is being started has this script's.
is_up() {
  local line
  [[ -f $NODE/pid ]] || return 1
  line=$(tr '\0' ' ' 2> /dev/null < "/proc/$(< "$NODE/pid")/cmdline") || return 1
  [[ $line == *fail2fix.cluster.node* || $line == *cluster.sh* ]]
}

# up WORD...: start a node in the background and wait until it is ready.
up() {
  local command=() word dry=
  for word in "$PYTHON" -m fail2fix.cluster.node "$@"; do
    if [[ $word == --dry-run ]]; then dry=1; else command+=("$word"); fi
  done
  if [[ $dry ]]; then echo "${command[*]@Q}"; return; fi
  if is_up; then die "a node is up here already (process $(< "$NODE/pid"), $NODE): scripts/cluster.sh down ends it"; fi
  mkdir -p "$NODE"
  [[ -O $NODE ]] || die "$NODE belongs to somebody else: set NODE to a folder of yours"
  chmod 700 "$NODE"
  : > "$NODE/log" # before the start: an earlier node was ready too
  setsid nohup "${command[@]}" >> "$NODE/log" 2>&1 < /dev/null &
  echo $! > "$NODE/pid"
  until grep -q "fail2fix.cluster.node: ready" "$NODE/log"; do
    if ! is_up; then tail -n 5 "$NODE/log" >&2; rm "$NODE/pid"; die "the node did not start: see $NODE/log"; fi
    sleep 0.5
  done
  echo "cluster: this node is up (log: $NODE/log)"
}

down() {
  if ! is_up; then echo "cluster: no node of ours is up here ($NODE)"; return; fi
  kill -TERM "$(< "$NODE/pid")"
  while is_up; do sleep 0.2; done
  rm "$NODE/pid"
  echo "cluster: this node is down"
}

train() {
  if (($# < 4)); then die "usage: scripts/cluster.sh train RUN SETUP NAME CONFIG [--retry N] [any Hydra override]"; fi
  "$PYTHON" -m fail2fix.console.secret_text "$JOBS" "$@" > /dev/null
  local command=(scripts/train_setup.sh "${@:2}" fail2fix.run.name="$1")
  local job=("$PYTHON" -m fail2fix.cluster.job ${DETACH:+--no-wait} "$JOBS" env PYTHON="$PYTHON")
  if [[ ${DATA:-} ]]; then job+=(DATA="$DATA"); fi
  if [[ " $* " == *" --dry-run "* ]]; then
    echo "# ${job[*]@Q} ${command[*]@Q}"
    exec "${command[@]}"
  fi
  exec "${job[@]}" "${command[@]}"
}

ACTION=${1:-}
shift || true
case $ACTION in
  head) up --port "$PORT" "$@" ;;
  join)
    [[ ${1:-} && ${1:-} != -* ]] || die "join: needs the head's HOST[:PORT]"
    HEAD=$1
    [[ $HEAD == *:* ]] || HEAD=$HEAD:$PORT
    up "$HEAD" "${@:2}" ;;
  train) train "$@" ;;
  down) down ;;
  -h | --help) usage ;;
  *) die "${ACTION:-nothing} is not an action: head, join, train or down (--help says more)" ;;
esac
