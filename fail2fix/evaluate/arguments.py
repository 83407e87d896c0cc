"""Command line options of an evaluation, and the settings made from them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from fail2fix.console.command_line import OneLineParser
from fail2fix.evaluate.benchmarks import BENCHMARKS, find_benchmark
from fail2fix.evaluate.settings import Settings

PROG = "python -m fail2fix.evaluate"
OVERRIDES = ("samples", "temperature", "top_p", "max_tokens")
"""Options that replace a field of every benchmark's sampling."""


def parse(arguments: Sequence[str], description: str | None) -> argparse.Namespace:
    """Parse the command line; ends the process with one line and status 2 where it is wrong."""
    parser = OneLineParser(
        prog=PROG, description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    _add_inputs(parser)
    _add_sampling(parser)
    _add_prompts_and_engine(parser)
    return parser.parse_args(arguments)


def settings_of(given: argparse.Namespace) -> Settings:
    """The settings that the options ask for. Raises `InputError` for an unknown benchmark."""
    changed = {name: getattr(given, name) for name in OVERRIDES if getattr(given, name) is not None}
    values: dict[str, Any] = {field.name: getattr(given, field.name, None) for field in fields(Settings)}
    values |= {
        "sampling": {name: replace(find_benchmark(name).sampling, **changed) for name in given.benchmarks},
        "engine": "openai" if given.endpoint else "vllm",
        "thinking_marks": tuple(map(tuple, given.thinking_marks)),
    }
    return Settings(**values)


def _add_inputs(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("--model", required=True, help="a Hugging Face folder or hub id, or the endpoint's name of it")
    add("--benchmarks", nargs="+", required=True, metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    add("--out", type=Path, required=True, metavar="DIR", help="a new folder, or an unfinished evaluation")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="prepared sets, DIR/NAME/test.parquet (data)")
    add("--from", type=Path, dest="folder", metavar="FOLDER", help="local copies to prepare missing sets from")
    add("--endpoint", default="", metavar="URL", help="an OpenAI-compatible service; its key: OPENAI_API_KEY")
    add("--limit", type=int, metavar="N", help="problems a benchmark, drawn by --seed")
    add("--seed", type=int, default=0, help="of sampling and of --limit's draw (0)")
    add("--batch", type=int, default=1024, metavar="N", help="answers written together (1024)")


def _add_sampling(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("--self-correction", type=int, default=0, dest="rounds", metavar="K", help="rounds that correct own answers")
    add("--samples", type=int, help="answers a problem")
    add("--temperature", type=float, help="0 is greedy")
    add("--top-p", type=float)
    add("--max-tokens", type=int, help="new tokens of an answer")


def _add_prompts_and_engine(parser: OneLineParser) -> None:
    add, marks = parser.add_argument, ("OPENING", "CLOSING")
    add("--channel", choices=("boxed", "answer_line", "auto"), default="boxed", help="place of math answers (boxed)")
    add("--form", choices=("block", "turn"), default="block", help="place of attempts in correction prompts (block)")
    add("--thinking", choices=("strip", "keep"), default="strip", help="thinking blocks in attempts (strip)")
    add("--thinking-marks", nargs=2, action="append", default=[], metavar=marks, help="further marks; may be repeated")
    options: dict[str, Any] = {"type": _json_object, "default": {}, "metavar": "JSON"}
    add("--chat-template-kwargs", dest="template", help="e.g. '{\"enable_thinking\": false}'", **options)
    add("--max-model-len", type=int, metavar="N", help="tokens of a prompt and its answer together")
    add("--dtype", default="auto", help="of the weights in vLLM (auto)")
    add("--tensor-parallel", type=int, default=1, metavar="N", help="GPUs that share the model")
    add("--engine-options", help="further arguments of vllm.LLM", **options)


def _json_object(text: str) -> dict[str, Any]:
    found = None
    with suppress(ValueError):
        found = json.loads(text)
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object such as '{{\"enable_thinking\": false}}'")
    return found
