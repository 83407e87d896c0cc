#!/usr/bin/env bash
# Print the config that suits this CPU: cpu where it has bf16 instructions, else cpu_fp32 (emulated bf16 is several times
# slower than fp32).
set -euo pipefail

if grep -qwE 'avx512_bf16|amx_bf16' /proc/cpuinfo; then echo cpu; else echo cpu_fp32; fi
