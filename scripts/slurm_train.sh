#!/usr/bin/env bash
#SBATCH --job-name=fail2fix
#SBATCH --ntasks-per-node=1
#SBATCH --output=slurm-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@600
# Train on SLURM: submits itself, brings Ray up over the allocation, trains, and takes Ray down.
#
#   scripts/slurm_train.sh [any option of sbatch] -- SETUP NAME CONFIG [--retry N] [--dry-run] [any Hydra override]
#   scripts/slurm_train.sh --nodes=4 --gpus-per-node=8 --exclusive --time=24:00:00 -- \
#     deepscaler deepscaler-qwen3-4b cipo --retry 3 fail2fix.budget.rollouts=1000000
#
# The words after -- are train_setup.sh's. The run is called slurm-JOB. Ten minutes before the time limit it finishes its
# step and saves; the job is requeued and the run resumes (--signal=B:USR1@SECONDS if a step takes longer). The job is
# also requeued after a kill, or a fault that a restart can help, at most REQUEUES times. Preemption sends the same
# signal if the cluster's slurm.conf has PreemptParameters=send_user_signal and a GraceTime; otherwise the run resumes
# from its last checkpoint (trainer.save_freq). --dry-run prints the job's script and the composed config, for
# --nodes=N --gpus-per-node=N.
#
# All nodes need this folder and its packages at the same path, on a shared disk. Exported secrets
# (WANDB_API_KEY, HF_TOKEN) reach the job as sbatch passes the environment on; nothing of it is printed.
set -euo pipefail

PYTHON=${PYTHON:-python}
REQUEUES=${REQUEUES:-10}
GPUS=${GPUS:-${SLURM_GPUS_ON_NODE:-}}   # of each node
NODE_OPTIONS=${NODE_OPTIONS:-}          # more options of `ray start` on each node
FAULT=75                                # fail2fix/run/exit_status.py: a restart can help
KILLED=137                              # from outside: it can, too
STOPPED=143                             # the run has done as SIGTERM asks

say() { echo "slurm_train: $*" >&2; }
die() { say "$@"; exit 2; }
alive() { kill -0 "$1" 2> /dev/null; }

# submit [OPTION...] -- WORD...: called by the user.
submit() {
  local options=() sizes=() root
  root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  while (($#)) && [[ $1 != -- ]]; do
    case $1 in
      --nodes=*) sizes+=(trainer.nnodes="${1#*=}") ;;
      --gpus-per-node=*) sizes+=(trainer.n_gpus_per_node="${1##*[=:]}") ;;
    esac
    options+=("$1")
    shift
  done
  shift || true
  (($# >= 3)) || die "usage: scripts/slurm_train.sh [any option of sbatch] -- SETUP NAME CONFIG [any Hydra override]"
  "$PYTHON" -m fail2fix.console.secret_text "${options[@]}" "$@" > /dev/null
  local command=(sbatch --chdir="$root" "${options[@]}" "$root/scripts/slurm_train.sh" run "$@")
  if [[ " $* " != *" --dry-run "* ]]; then exec "${command[@]}"; fi
  echo "# ${command[*]@Q}"
  cat "$root/scripts/slurm_train.sh"
  exec "$root/scripts/train_setup.sh" "${@:1:3}" "${sizes[@]}" "${@:4}"
}

# node ADDRESS: run by srun on every node; the first is Ray's head.
node() {
  local options=(--num-gpus "$GPUS")
  # shellcheck disable=SC2206  # words
  options+=($NODE_OPTIONS)
  mkdir -p "$RAY_TMPDIR"
  if ((SLURM_PROCID == 0)); then
    exec "$PYTHON" -m fail2fix.cluster.node --port "${1##*:}" --include-dashboard false "${options[@]}"
  fi
  exec "$PYTHON" -m fail2fix.cluster.node "$1" "${options[@]}"
}

# run WORD...: run by SLURM on the first node.
run() {
  local head port again=()
  [[ -x scripts/train_setup.sh ]] || die "$PWD is not the project's folder: submit with scripts/slurm_train.sh"
  [[ $GPUS ]] || die "the allocation has no GPUs: submit with --gpus-per-node=N (without a GPU: GPUS=1 and device=cpu)"
  head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
  port=$((20000 + SLURM_JOB_ID % 10000))
  ADDRESS=$head:$port
  export RAY_TMPDIR=${RAY_TMPDIR:-/tmp/fail2fix-$SLURM_JOB_ID} GPUS NODE_OPTIONS PYTHON
  if ((${SLURM_RESTART_COUNT:-0})); then again=(fail2fix.run.restart=true); fi

  WARNED=
  trap 'WARNED=1' USR1
  start_ray "$head" "$port"
  RAY_ADDRESS=$ADDRESS scripts/train_setup.sh "${@:1:3}" trainer.nnodes="$SLURM_NNODES" \
    trainer.n_gpus_per_node="$GPUS" fail2fix.run.name="slurm-$SLURM_JOB_ID" "${@:4}" "${again[@]}" &
  TRAINING=$!
  watch
}

start_ray() {
  srun --overlap --ntasks="$SLURM_NNODES" --ntasks-per-node=1 --kill-on-bad-exit=1 \
    scripts/slurm_train.sh node "$ADDRESS" &
  RAY=$!
  trap stop_ray EXIT
  until (exec 3<> "/dev/tcp/$1/$2") 2> /dev/null; do
    alive "$RAY" || { say "Ray did not start: its lines above say why"; exit 1; }
    sleep 1
  done
}

# srun forwards USR1 to the nodes; on TERM it would kill them before they clean up.
stop_ray() {
  if alive "$RAY"; then kill -USR1 "$RAY"; fi
  wait "$RAY" || true
}

end_training() { kill -TERM "$TRAINING" 2> /dev/null || true; }

# Wait until the training ends; a signal asks it to. Without its Ray it cannot continue, and must not retry.
watch() {
  local told='' status=0
  trap 'WARNED=1; end_training' USR1
  trap end_training TERM
  if [[ $WARNED ]]; then end_training; fi
  while alive "$TRAINING"; do
    if [[ ! $told ]] && ! alive "$RAY"; then told=1; end_training; fi
    sleep 1
  done
  wait "$TRAINING" || status=$?
  trap - USR1 TERM
  if [[ $WARNED ]] && ((status == STOPPED)); then
    requeue "its time was up"
  elif ((status == FAULT || status == KILLED)) && ((${SLURM_RESTART_COUNT:-0} < REQUEUES)); then
    requeue "a fault ended it, restart $((${SLURM_RESTART_COUNT:-0} + 1)) of $REQUEUES"
  fi
  exit "$status"
}

requeue() {
  say "slurm-$SLURM_JOB_ID resumes later: $1"
  stop_ray
  scontrol requeue "$SLURM_JOB_ID" ||
    say "it could not be requeued: submit it again with fail2fix.run.name=slurm-$SLURM_JOB_ID"
}

case ${1:-} in
  -h | --help) sed -n '2,/^set /{/^# /s/^# //p}' "${BASH_SOURCE[0]}" ;;
  node) node "$2" ;;
  run) run "${@:2}" ;;
  *) submit "$@" ;;
esac
