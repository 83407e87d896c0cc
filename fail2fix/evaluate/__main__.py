"""Evaluate a model on benchmarks, or compare two evaluations.

    python -m fail2fix.evaluate --model PATH --benchmarks math500 gsm8k --out DIR
    python -m fail2fix.evaluate --model PATH --benchmarks math500 --self-correction 2 --out DIR
    python -m fail2fix.evaluate --model NAME --endpoint http://HOST:8000/v1 --benchmarks debugbench --out DIR
    python -m fail2fix.evaluate compare DIR_A DIR_B --out DIR

Sampling is each benchmark's own protocol (fail2fix/evaluate/benchmarks.py) unless an option says otherwise. Sets that
are not in --data yet are prepared there, from the hub or, with --from, from local copies. The same command goes on
where it was cut short: a crash loses no more than the batch that was running. Exit status: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fail2fix.console.command_line import OneLineParser
from fail2fix.console.printable import one_line
from fail2fix.data.files import MODEL_FILES, model_files, refuse_unmerged, require_writable, sha256
from fail2fix.evaluate.benchmarks import BENCHMARKS, Benchmark, find_benchmark
from fail2fix.evaluate.questions import Question, digest, load_questions
from fail2fix.evaluate.settings import Settings, check
from fail2fix.method.errors import InputError
from fail2fix.run.versions import versions
from fail2fix.verify.config import Channel, VerifierConfig

PROG = "python -m fail2fix.evaluate"
OVERRIDES = ("samples", "temperature", "top_p", "max_tokens")
FORMAT = 1


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["compare"]:
            from fail2fix.evaluate.compare import main as compare

            return compare(arguments[1:])
        given = _parser().parse_args(arguments)
        return evaluate(_settings(given), given.data, given.folder, given.out)
    except InputError as error:
        print(f"evaluate: error: {one_line(str(error))}", file=sys.stderr)
        return 2


def evaluate(settings: Settings, data: Path, folder: Path | None, out: Path) -> int:
    """Run one evaluation, or what is left of it, and print its table.

    Raises:
        InputError: anything that was given and is wrong, before the engine takes a GPU where that can be seen.
    """
    from rich.console import Console

    from fail2fix.evaluate.engine import open_engine
    from fail2fix.evaluate.judging import Judge
    from fail2fix.evaluate.run import Evaluation
    from fail2fix.evaluate.store import RESULT, Store, write_json
    from fail2fix.evaluate.table import print_table

    check(settings)
    require_writable(out, "--out")
    if settings.engine == "vllm":  # of a folder on this machine, before sets are prepared
        refuse_unmerged(Path(settings.model).expanduser(), f"--model {settings.model}")
    questions = _questions(settings, data, folder)
    model, model_digest = (settings.model, None) if settings.engine == "openai" else find_model(settings.model)
    store = Store(out)
    store.open(_plan(settings, questions, model_digest))
    with Judge(VerifierConfig(channel=Channel(settings.channel))) as judge:
        judge.require([question for asked in questions.values() for question in asked])
        evaluation = Evaluation(settings, questions, store, judge, lambda: open_engine(replace(settings, model=model)))
        records = evaluation.run()
    for name, rows in records.items():
        store.write_records(name, rows)
    result = _result(settings, questions, records, model_digest) | {"engine": evaluation.describe_engine()}
    write_json(out / RESULT, result)
    print_table(result, Console())
    print(out / RESULT)
    return 0


def _questions(settings: Settings, data: Path, folder: Path | None) -> dict[str, list[Question]]:
    return {
        name: load_questions(find_benchmark(name), data, folder, settings.limit, settings.seed)
        for name in settings.sampling
    }


def find_model(model: str) -> tuple[str, str]:
    """A model's folder, downloaded where it is a hub id, and the digest of its files.

    Raises:
        InputError: it is neither, or holds an adapter that is not merged.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        folder = _downloaded(model)
    refuse_unmerged(folder, f"--model {model}")
    if not (folder / "config.json").is_file():
        raise InputError(f"--model {model}: no config.json in it: give a Hugging Face folder or hub id")
    return str(folder), sha256(model_files(folder))


def _downloaded(model: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=[*MODEL_FILES]))
    except Exception as error:  # offline, gone, gated, malformed: the hub's client has an exception for each
        raise InputError(
            f"--model {model}: no such folder, and not to be had from the hub ({type(error).__name__}): check the path"
        ) from error


def _plan(settings: Settings, questions: dict[str, list[Question]], model_digest: str | None) -> dict[str, Any]:
    """What decides the numbers. A model may move between two calls; its files may not change."""
    fields = asdict(settings)
    if model_digest is not None:
        fields["model"] = model_digest
    return fields | {"questions": {name: digest(asked) for name, asked in questions.items()}}


def _result(
    settings: Settings, questions: dict[str, list[Question]], records: dict[str, Any], model_digest: str | None
) -> dict[str, Any]:
    from fail2fix.evaluate.scores import score_rounds

    return {
        "format": FORMAT,
        "settings": asdict(settings),
        "model_digest": model_digest,
        "versions": versions(),
        "benchmarks": {
            name: _described(find_benchmark(name))
            | {"questions_digest": digest(asked), "rounds": score_rounds(records[name], asked)}
            for name, asked in questions.items()
        },
    }


def _described(benchmark: Benchmark) -> dict[str, str]:
    return {"set": benchmark.set_name, "task": benchmark.task}


def _settings(given: argparse.Namespace) -> Settings:
    changed = {name: getattr(given, name) for name in OVERRIDES if getattr(given, name) is not None}
    sampling = {name: replace(find_benchmark(name).sampling, **changed) for name in given.benchmarks}
    return Settings(
        model=given.model,
        sampling=sampling,
        engine="openai" if given.endpoint else "vllm",
        endpoint=given.endpoint,
        seed=given.seed,
        limit=given.limit,
        rounds=given.self_correction,
        batch=given.batch,
        form=given.form,
        thinking=given.thinking,
        thinking_marks=tuple(map(tuple, given.thinking_marks)),
        template=given.chat_template_kwargs,
        max_model_len=given.max_model_len,
        dtype=given.dtype,
        tensor_parallel=given.tensor_parallel,
        engine_options=given.engine_options,
        channel=given.channel,
    )


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object such as '{{\"enable_thinking\": false}}'")
    return found


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROG, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--model", required=True, help="a Hugging Face folder or hub id, or what the endpoint calls it")
    add("--benchmarks", nargs="+", required=True, metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    add("--out", type=Path, required=True, metavar="DIR", help="a new folder, or one to go on in")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="prepared sets, DIR/NAME/test.parquet (data)")
    add(
        "--from", type=Path, dest="folder", metavar="FOLDER", help="prepare missing sets from local copies, not the hub"
    )
    add(
        "--endpoint",
        default="",
        metavar="URL",
        help="an OpenAI-compatible service; its key is read from OPENAI_API_KEY",
    )
    add(
        "--self-correction", type=int, default=0, metavar="K", help="rounds in which the model corrects its own answers"
    )
    add("--limit", type=int, metavar="N", help="problems a benchmark, drawn by --seed")
    add("--seed", type=int, default=0, help="of sampling and of what --limit draws (0)")
    add("--samples", type=int, help="answers a problem")
    add("--temperature", type=float, help="0 is greedy")
    add("--top-p", type=float)
    add("--max-tokens", type=int, help="new tokens of an answer")
    add("--batch", type=int, default=1024, metavar="N", help="answers written together (1024)")
    add(
        "--channel",
        choices=("boxed", "answer_line", "auto"),
        default="boxed",
        help="where a math answer counts (boxed)",
    )
    add(
        "--form",
        choices=("block", "turn"),
        default="block",
        help="how an attempt stands in a correction prompt (block)",
    )
    add("--thinking", choices=("strip", "keep"), default="strip", help="thinking blocks in attempts (strip)")
    add(
        "--thinking-marks",
        nargs=2,
        action="append",
        default=[],
        metavar=("OPENING", "CLOSING"),
        help="marks of thinking blocks beside the known ones; may be repeated",
    )
    add(
        "--chat-template-kwargs",
        type=_json_object,
        default={},
        metavar="JSON",
        help="e.g. '{\"enable_thinking\": false}'",
    )
    add("--max-model-len", type=int, metavar="N", help="tokens of a prompt and its answer together")
    add("--dtype", default="auto", help="of the weights in vLLM (auto)")
    add("--tensor-parallel", type=int, default=1, metavar="N", help="GPUs that share the model")
    add("--engine-options", type=_json_object, default={}, metavar="JSON", help="further arguments of vllm.LLM")
    return parser


if __name__ == "__main__":
    sys.exit(main())
