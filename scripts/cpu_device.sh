#!/usr/bin/env bash
# Prints the config that suits this CPU: cpu where it multiplies in bf16, cpu_fp32 where it emulates bf16, several times
# slower than fp32.
set -euo pipefail

if grep -qwE 'avx512_bf16|amx_bf16' /proc/cpuinfo; then echo cpu; else echo cpu_fp32; fi
