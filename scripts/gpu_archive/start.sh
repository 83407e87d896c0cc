#!/usr/bin/env bash
# On a GPU machine without network: unpack the archive, then run the GPU check for LIMIT seconds, unpacking included.
#
#   [LIMIT=575] [OUT=FOLDER] scripts/gpu_archive/start.sh [OPTION OF THE CHECK...]
#
# A second call on the same machine uses what the first one unpacked into GPU_WORK.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

CARRIED=${CARRIED:-.gpu}
GPU_WORK=${GPU_WORK:-$HOME/gpu-work}
OUT=${OUT:-$GPU_WORK/out}
LIMIT=${LIMIT:-575}
CHECK=${CHECK:-scripts/gpu/check.py}
export CUDA_MODULE_LOADING=LAZY # the archive has zeros for modules that are not needed
export VLLM_CACHE_ROOT=${VLLM_CACHE_ROOT:-$GPU_WORK/vllm}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

python=$(python3 "$here/unpack.py" "$CARRIED" "$GPU_WORK")
echo "gpu_archive: unpacked after $SECONDS s"
[[ -d $VLLM_CACHE_ROOT/modelinfos ]] || "$python" "$here/inspect_models.py" > "$GPU_WORK/inspect_models.log" 2>&1 &
exec "$python" "$CHECK" "$OUT" --carried "$GPU_WORK/carried" --limit $((LIMIT - SECONDS)) "$@"
