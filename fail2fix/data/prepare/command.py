"""Turn public sets into verl's parquet files, each with a card.

    python -m fail2fix.prepare NAME... --out DIR [--from FOLDER]

Writes DIR/NAME/{train,test}.parquet (an evaluation set: test.parquet only), card.json and README.md. Rows come from the
Hugging Face hub. With --from they come from a folder of local copies (.json, .jsonl, .gz of these, .parquet). There
each set looks for FOLDER/NAME/* and for its mirrors' names. Prompts are the problem plus an instruction; ground truths
are in the form that the reward's verifier reads.

Dropped, and counted in the card: rows without a usable answer, repeats, problems with different answers, and problems
of evaluation benchmarks in training sets. In some code sets also rows whose reference program fails its tests, which
are run in sandboxes (bubblewrap). Ground truths of mathematics list expressions of the problem that equal the answer
(`fail2fix.data.echoes`). A missing column, an empty download or an unknown set stops the command with one
line, and nothing of that set is written. Exit status: 0 done, 2 bad input.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from fail2fix.console.command_line import OneLineParser
from fail2fix.console.printable import input_errors_in_one_line
from fail2fix.data.echoes import Found, echo_counts, find_echoes
from fail2fix.data.files import require_writable, sha256
from fail2fix.data.prepare.card import Made, write_card
from fail2fix.data.prepare.cleaning import (
    Dropped,
    hold_out,
    marks,
    problem_id,
    read_all,
    without_overlap,
    without_repeats,
)
from fail2fix.data.prepare.overlap import TRAINED_ON, Near, exact_overlaps, near_overlaps, shipped_hashes
from fail2fix.data.prepare.references import confirmed, sandbox
from fail2fix.data.prepare.sources import beside_files, is_at_hand, local_files, reader_of, rows_of
from fail2fix.data.rows import STATED, Row, verl_row, write_splits
from fail2fix.data.sets import all_sets, find_set
from fail2fix.data.sets.spec import INSTRUCTIONS, Problem, PublicSet, SourceRow
from fail2fix.verify.gold import with_echoes

Confirm = Callable[[list[Problem]], list[Problem]]


def prepare(chosen: PublicSet, out: Path, folder: Path | None = None) -> Made:
    """Write a set's files to `out`, from the copies in `folder` or from the hub.

    Raises:
        InputError: a set, file, row or column is not as the set's description says.
    """
    dropped, read = Dropped(), Counter[str]()
    with closing(sandbox(chosen.name)) if chosen.runs_references else nullcontext() as backend:
        confirm: Confirm = partial(confirmed, backend=backend, dropped=dropped) if backend else list
        reader = reader_of(chosen, folder)
        problems = {
            split: read_all(_counted(rows_of(chosen, split, folder), split, read), reader, chosen.ability, dropped)
            for split in chosen.splits
        }
        evaluates = chosen.use == "evaluation"
        train: list[Problem] = []
        if evaluates:
            test = confirm(sum(problems.values(), []))
        else:
            train, test = _training(chosen, problems, dropped, confirm)
    train, test = (_searched(chosen, split) for split in (train, test))
    write_splits(out, _rows(chosen, train, "train"), _rows(chosen, test, "test"))
    sources: set[Path] = set()
    if folder is not None:
        sources.update(path for split in chosen.splits for path in local_files(chosen, split, folder))
        sources.update(beside_files(chosen, folder))
    made = Made(
        source={path.name: sha256([path]) for path in sorted(sources)},
        read=read,
        written={"train": len(train), "test": len(test)},
        dropped=dropped,
        with_echoes=sum(each.echoes > 0 for each in (*train, *test)),
        stated=sum(each.stated for each in (*train, *test)),
        exact={} if evaluates else exact_overlaps(problems["train"], shipped_hashes()),
        near=None if evaluates or folder is None else _near(problems["train"], chosen, folder),
    )
    write_card(out, chosen, made)
    return made


def _counted(rows: Iterable[SourceRow], split: str, count: Counter[str]) -> Iterator[SourceRow]:
    for row in rows:
        count[split] += 1
        yield row


def _training(
    chosen: PublicSet, problems: dict[str, list[Problem]], dropped: Dropped, confirm: Confirm
) -> tuple[list[Problem], list[Problem]]:
    """(train, test) of a training set: its published splits, or its one split with a part held out."""
    usable = without_repeats(problems["train"], chosen.ability, dropped)
    forbidden = {name: found for name, found in shipped_hashes().items() if name != TRAINED_ON}
    usable = without_overlap(usable, forbidden, dropped)
    if "test" not in problems:
        return hold_out(confirm(usable), chosen.held_out)
    own = {f"{chosen.name}'s own test split": frozenset(marks(each) for each in problems["test"])}
    return confirm(without_overlap(usable, own, dropped)), confirm(problems["test"])


def _searched(chosen: PublicSet, problems: list[Problem]) -> list[Problem]:
    """The problems, those of mathematics with their echoes."""
    math = [each for each in problems if chosen.ability_of(each) == "math"]
    found = dict(zip(map(id, math), find_echoes([(each.text, each.answer) for each in math]), strict=True))

    def searched(each: Problem) -> Problem:
        one = found.get(id(each), Found())
        answer = with_echoes(each.answer, one.echoes)
        return replace(each, answer=answer, echoes=len(one.echoes), stated=one.stated)

    return list(map(searched, problems))


def _near(problems: list[Problem], chosen: PublicSet, folder: Path) -> dict[str, list[Near]]:
    """Near overlaps with each evaluation set of the same ability in `folder`."""
    found = {}
    for other in all_sets().values():
        if other.use == "evaluation" and other.ability == chosen.ability and is_at_hand(other, folder):
            rows = [row for split in other.splits for row in rows_of(other, split, folder)]
            read = read_all(rows, reader_of(other, folder), other.ability, Dropped())
            found[other.name] = near_overlaps(problems, [each for each in read if other.evaluated(each.tags)])
    return found


def _rows(chosen: PublicSet, problems: list[Problem], split: str) -> list[Row]:
    rows: list[Row] = []
    seen: Counter[str] = Counter()
    for index, each in enumerate(problems):
        ability = chosen.ability_of(each)
        source = chosen.hub_id if ability == chosen.ability else f"{chosen.hub_id}/{ability}"
        prompt = each.text + each.form + INSTRUCTIONS[ability]
        row = verl_row(source, prompt, each.answer, split, index, ability)
        name = each.id or problem_id(each)
        row["extra_info"] |= {"id": f"{name}-{seen[name]}" if seen[name] else name, "source": chosen.name}
        row["extra_info"][STATED] = each.stated
        seen[name] += 1
        if each.tags:
            row["extra_info"]["tags"] = dict(each.tags)
        if each.attempt:
            row["extra_info"] |= {"attempt": each.attempt.text, "attempt_correct": each.attempt.correct}
        rows.append(row)
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = OneLineParser(
        prog="python -m fail2fix.prepare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"of {', '.join(all_sets())}")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="each set gets a folder in it")
    parser.add_argument("--from", type=Path, dest="folder", metavar="FOLDER", help="local copies instead of the hub")
    arguments = parser.parse_intermixed_args(argv)
    with input_errors_in_one_line("prepare"):
        for chosen in [find_set(name) for name in arguments.names]:
            out = arguments.out / chosen.name
            require_writable(out, "--out")
            if not (arguments.folder or chosen.revision):
                print(f"{chosen.name}: no revision of {chosen.hub_id} is pinned: another day may give other rows")
            made = prepare(chosen, out, arguments.folder)
            lost = ", ".join(f"{rows:,} {reason}" for reason, rows in made.dropped.counts.most_common())
            counts = f"{made.written['train']:,} to train on, {made.written['test']:,} held out"
            print(f"{out}: {counts}, of {sum(made.read.values()):,} rows{'; dropped: ' + lost if lost else ''}")
            if made.with_echoes or made.stated:
                print(f"{out}: {echo_counts(made.with_echoes, made.stated)}")
