"""Evaluate a model on benchmarks, or compare two evaluations.

    python -m fail2fix.evaluate --model PATH --benchmarks math500 gsm8k --out DIR
    python -m fail2fix.evaluate --model PATH --benchmarks math500 --self-correction 2 --out DIR
    python -m fail2fix.evaluate --model NAME --endpoint http://HOST:8000/v1 --benchmarks debugbench --out DIR
    python -m fail2fix.evaluate --model PATH --file data/mine/test.parquet --out DIR
    python -m fail2fix.evaluate compare DIR_A DIR_B --out DIR
    python -m fail2fix.evaluate table NAME=DIR... --out DIR

Sampling is each benchmark's own protocol (fail2fix/evaluate/benchmarks.py) unless an option says otherwise. Missing
sets are prepared in --data, from the hub or, with --from, from local copies. The same command resumes an interrupted
evaluation: a crash loses at most the running batch. Exit status: 0 done, 2 bad input.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from fail2fix.console.command_line import run_command
from fail2fix.console.printable import input_errors_in_one_line
from fail2fix.data.atomic import write_json
from fail2fix.data.files import MODEL_FILES, model_files, refuse_unmerged, require_writable, sha256
from fail2fix.evaluate.benchmarks import BENCHMARKS, Benchmark
from fail2fix.evaluate.judging import Judge
from fail2fix.evaluate.prompts import Engine, Note
from fail2fix.evaluate.questions import digest, drawn, load_questions, read_questions
from fail2fix.evaluate.results_table import main as results_table
from fail2fix.evaluate.run import Evaluation, Questions
from fail2fix.evaluate.scores import score_rounds
from fail2fix.evaluate.settings import FILE, Settings, check, parse
from fail2fix.evaluate.store import RESULT, Rows, Store
from fail2fix.evaluate.table import print_table
from fail2fix.method.errors import InputError, reading
from fail2fix.run.provenance import versions

FORMAT = 1


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with input_errors_in_one_line("evaluate"):
        if arguments[:1] == ["compare"]:
            from fail2fix.evaluate.compare_command import main as compare  # draws with matplotlib

            compare(arguments[1:])
        elif arguments[:1] == ["table"]:
            results_table(arguments[1:])
        else:
            settings, given = parse(arguments, __doc__)
            evaluate(settings, given)


def evaluate(settings: Settings, given: argparse.Namespace) -> None:
    """Run one evaluation, or resume it, and print its table. ``given``: the command line's places.

    Raises `InputError`: wrong input, before the engine takes a GPU where that is possible.
    """
    check(settings)
    out: Path = given.out
    require_writable(out, "--out")
    if settings.engine == "vllm":  # of a folder on this machine, before sets are prepared
        refuse_unmerged(Path(settings.model).expanduser(), f"--model {settings.model}")
    limits = settings.limit, settings.seed
    if given.file:
        questions = {FILE: drawn(read_questions(given.file, numbered=True), *limits)}
        if not questions[FILE]:
            raise InputError(f"--file {given.file}: holds no problem")
    else:
        questions = {
            name: load_questions(BENCHMARKS[name], given.data, given.folder, *limits) for name in settings.sampling
        }
    store = Store(out)
    records, evaluation, model_digest = answer_and_judge(settings, questions, store)
    benchmarks = {}
    for name, asked in questions.items():
        store.write_records(name, records[name])
        benchmark = BENCHMARKS.get(name, Benchmark(name, str(given.file)))
        about = {"set": benchmark.set_name, "task": benchmark.task, "questions_digest": digest(asked)}
        benchmarks[name] = about | {"rounds": score_rounds(records[name], asked)}
    result = {"format": FORMAT, "settings": asdict(settings), "model_digest": model_digest, "versions": versions()}
    result |= {
        "benchmarks": benchmarks,
        "engine": evaluation.engine.describe() if evaluation.engine else store.engine(),
    }
    write_json(out / RESULT, result)
    print_table(result, Console())
    print(out / RESULT)


def answer_and_judge(
    settings: Settings, questions: Questions, store: Store
) -> tuple[dict[str, Rows], Evaluation, str | None]:
    """The records of each set of questions, from the store where they are there; the model's digest, if it has one.

    Raises `InputError` as `evaluate`.
    """
    digests = {name: digest(asked) for name, asked in questions.items()}
    model, model_digest = (settings.model, None) if settings.engine == "openai" else find_model(settings.model)
    # Everything that the numbers depend on. A model may move between two calls; its files may not change.
    store.open(asdict(settings) | {"questions": digests, "model": model_digest or settings.model})
    with Judge(settings.verifier) as judge:
        judge.require([question for asked in questions.values() for question in asked])
        evaluation = Evaluation(settings, questions, store, judge, lambda: open_engine(replace(settings, model=model)))
        return evaluation.run(), evaluation, model_digest


def open_engine(settings: Settings, note: Note = lambda request, completion: None) -> Engine:
    """Open the engine that the settings name; an endpoint's calls `note` after each answer.

    Raises `InputError`: it cannot be opened; what to install or set.
    """
    if settings.engine == "openai":
        from fail2fix.evaluate.openai_engine import OpenAIEngine

        return OpenAIEngine(settings, note)
    from fail2fix.evaluate.vllm_engine import VllmEngine

    return VllmEngine(settings)


def find_model(model: str) -> tuple[str, str]:
    """A model's folder, downloaded if `model` is a hub id, and the digest of its files.

    Raises `InputError`: it is neither, or holds an adapter that is not merged.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        # Any exception: the hub's client has one each for offline, gone, gated, malformed.
        with reading(
            f"--model {model}: no such folder, and no download from the hub", Exception, hint="check the path"
        ):
            folder = Path(snapshot_download(model, allow_patterns=[*MODEL_FILES]))
    refuse_unmerged(folder, f"--model {model}")
    if not (folder / "config.json").is_file():
        raise InputError(f"--model {model}: no config.json in it: give a Hugging Face folder or hub id")
    return str(folder), sha256(model_files(folder))


if __name__ == "__main__":
    run_command(main)
