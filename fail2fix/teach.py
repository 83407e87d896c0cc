r"""Turn wrong attempts into verified corrections, as chats for `fail2fix.warmup --chats`.

    python -m fail2fix.teach --attempts attempts.parquet --out chats --from own --model MODEL --samples 8
    python -m fail2fix.teach --attempts attempts.parquet --out chats --from teacher --endpoint http://HOST:8000/v1 \
        --model NAME --most-tokens 5000000
    python -m fail2fix.teach --attempts attempts.parquet --out chats --from worked

--from own samples corrections from the model itself; teacher asks a model for a diagnosis and a corrected solution;
worked takes a task family's worked solutions. A correction is kept only if the verifier accepts its answer. Right
attempts are added, to be kept, and right solutions as base prompts. By default an attempt has up to 4 answers at
temperature 1, of at most 2,048 tokens.

OUT gets chats.parquet, teach.json and answers.jsonl: every answer, by content. The same command resumes from it, and
asks nothing twice. Exit status: 0 done, 2 bad input.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

from fail2fix.console.command_line import add_fields, given_fields, run_command
from fail2fix.console.printable import input_errors_in_one_line
from fail2fix.data.atomic import write_json
from fail2fix.data.files import require_writable, sha256
from fail2fix.data.rows import write_parquet
from fail2fix.evaluate.__main__ import find_model, open_engine
from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.judging import Judge
from fail2fix.evaluate.prompts import ChatPrompts
from fail2fix.evaluate.settings import Settings, check, model_parser, settings_of
from fail2fix.guided.attempts import Choice, choose, read_attempts
from fail2fix.guided.corrections import TEACHER, Ask, Proposal, Source, chat_rows, correct, worked
from fail2fix.guided.recorded import Answers, Recorded
from fail2fix.method.errors import InputError
from fail2fix.method.templates import words_of
from fail2fix.run.provenance import versions

NAME = "teach"
SAMPLING = Sampling(samples=4, temperature=1.0, max_tokens=2048)
CHATS, RESULT, ANSWERS = "chats.parquet", "teach.json", "answers.jsonl"


def teach(given: argparse.Namespace, settings: Settings, choice: Choice) -> dict[str, int]:
    """Write the chats; counts of attempts, proposals and chats.

    `given`: the command line. `settings`: of the model that is asked; their `correction` has the student's words.
    Raises `InputError`: wrong input, or nothing was corrected.
    """
    source, out = given.source, given.out
    check(settings)
    require_writable(out, "--out")
    if bool(settings.model) == (source == "worked"):
        raise InputError(f"--from {source}: {'asks no --model' if settings.model else 'give its --model'}")
    words, prompts = words_of(settings.correction), ChatPrompts(settings)
    wrong, right = choose(read_attempts(given.attempts), choice, settings.seed)
    wrong = wrong[: settings.limit]
    answers = Answers(given.answers or out / ANSWERS)
    with Judge(settings.verifier) as judge:
        judge.require(wrong)
        ask, samples = (worked, 1) if source == "worked" else _asker(given, settings, answers)
        taught, ended = correct(wrong, source, ask, samples, words, judge)
    counts = {"wrong attempts": len(wrong), "corrected": len(taught), **ended}
    counts |= {"recorded answers": len(answers.known), "recorded tokens": answers.tokens}
    if not taught:
        raise InputError(f"--attempts: none of {len(wrong):,} wrong attempts was corrected ({shown(counts)})")
    share = choice.right_share
    # A right attempt is to be kept: its response lets it stand.
    stand = [
        (each, Proposal(words.written("", each.attempt_text)))
        for each in right[: round(len(taught) * share / (1 - share))]
    ]
    chats = chat_rows([*taught, *stand], right, prompts)
    counts |= {"kept": len(stand), "chats": len(chats)}
    out.mkdir(parents=True, exist_ok=True)
    write_parquet(out / CHATS, chats)
    told = asdict(settings) | asdict(choice) | {"from": source, "attempts_sha256": sha256(given.attempts)}
    write_json(out / RESULT, {"settings": told, "counts": counts, "versions": versions()})
    return counts


def _asker(given: argparse.Namespace, settings: Settings, answers: Answers) -> tuple[Ask, int]:
    """What asks the model, known by its folder's digest or by its name at an endpoint, and how often."""
    identity = settings.model
    if settings.engine == "vllm":
        folder, identity = find_model(settings.model)
        settings = replace(settings, model=folder)
    if given.source == "teacher":
        settings = replace(settings, correction=TEACHER)
    asker = Recorded(settings, identity, NAME, answers, given.most_tokens, open_engine)
    return asker.ask, settings.sampling[NAME].samples


def shown(counts: Mapping[str, int]) -> str:
    """Counts in one line."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = model_parser("teach", __doc__, model_required=False, without=("rounds",))
    add = parser.add_argument
    add("--attempts", type=Path, nargs="+", required=True, metavar="FILE", help="files that fail2fix.collect wrote")
    add("--from", choices=get_args(Source), required=True, dest="source", help="where corrections come from")
    add("--answers", type=Path, metavar="FILE", help="recorded answers (default: OUT/answers.jsonl)")
    add_fields(parser, Choice)
    add("--most-tokens", type=int, metavar="N", help="of all recorded answers and their prompts")
    given = parser.parse_args(argv)
    with input_errors_in_one_line("teach"):
        settings = settings_of(given, {NAME: SAMPLING})
        counts = teach(given, settings, Choice(**given_fields(given, Choice)))
        print(f"{given.out / CHATS}: {shown(counts)}")
        if counts.get("not asked"):
            print("not asked: no prompt, or beyond --most-tokens; a larger number continues")


if __name__ == "__main__":
    run_command(main)
