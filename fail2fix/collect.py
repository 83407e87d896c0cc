"""Write verified rollouts of a model over a training file, for `fail2fix.teach`.

    python -m fail2fix.collect --model MODEL --data data/gsm8k/train.parquet --samples 4 --out outputs/guided/attempts

By default each row gets 4 answers at temperature 1, of at most 1,024 tokens. They come from vLLM, or from any
OpenAI-compatible endpoint, as in `fail2fix.evaluate`. They are judged by the reward of the task family that wrote the
rows, else by the verifier of their data_source. OUT gets attempts.parquet. The same command resumes an interrupted
collection: a crash loses at most the running batch. Exit status: 0 done, 2 bad input.
"""

from collections.abc import Sequence
from pathlib import Path

from fail2fix.console.command_line import run_command
from fail2fix.console.printable import input_errors_in_one_line
from fail2fix.data.files import require_writable
from fail2fix.data.rows import read_parquet, write_parquet
from fail2fix.evaluate.__main__ import answer_and_judge
from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.questions import drawn, read_questions
from fail2fix.evaluate.settings import OF_CORRECTIONS, Settings, check, model_parser, settings_of
from fail2fix.evaluate.store import Store
from fail2fix.guided.attempts import FILE, attempt_rows
from fail2fix.method.errors import InputError

NAME = "train"
SAMPLING = Sampling(samples=4, temperature=1.0, max_tokens=1024)


def collect(settings: Settings, file: Path, out: Path) -> None:
    """Answer and judge every row, or what is left of them, and write the attempts. Raises `InputError`."""
    check(settings)
    require_writable(out, "--out")
    everything = read_questions(file, numbered=True, hint="give a training file as --data")
    questions = drawn(everything, settings.limit, settings.seed)
    rows = {each.id: row for each, row in zip(everything, read_parquet(file, str(file), ""), strict=True)}
    records, _, _ = answer_and_judge(settings, {NAME: questions}, Store(out))
    attempts = attempt_rows(rows, records[NAME])
    if not attempts:
        raise InputError(f"--data {file}: no row got an answer: look at {out}/batches")
    write_parquet(out / FILE, attempts)
    right = sum(each["extra_info"]["attempt_correct"] for each in attempts)
    lost = len(records[NAME]) - len(attempts)
    print(f"{out / FILE}: {len(attempts):,} attempts at {len(questions):,} problems, {right:,} right; {lost:,} lost")


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = model_parser("collect", __doc__, without=OF_CORRECTIONS)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="a training file")
    given = parser.parse_args(argv)
    with input_errors_in_one_line("collect"):
        collect(settings_of(given, {NAME: SAMPLING}), given.data, given.out)


if __name__ == "__main__":
    run_command(main)
