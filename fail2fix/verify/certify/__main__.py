r"""Certify the math verifier on truth sets and on the attack corpus.

    python -m fail2fix.verify.certify [FILE.jsonl[.gz] | FILE.parquet ...] [options]

Judges every row alone with the verifier and pool of training, to measure each verdict's time. Writes
DIR/certificate.json and DIR/certificate.md and prints the latter. Other verifiers (peers) get only some attacks of each
category, since most bombs cost them seconds and a new process.

`--respell N` draws N gold answers from these files, or from prepared sets (FILE.parquet), and judges each in some 160
spellings that keep its value and in about 50 changes that alter it.

A row of a truth set is a JSON object: gold (the right answer as in training data, or a list of texts that are all
required), response (a full solution) or pred (an answer, or null; in a box with --channel boxed), equal (true or false:
whether the answer is right) and, optionally, id. An attack of your own is a row with equal false.

    echo '{"gold": "1/2", "response": "So it is \\boxed{0.5}.", "equal": true}' > mine.jsonl
    python -m fail2fix.verify.certify mine.jsonl --no-attacks --against math-verify

Exit status: 0 done, even if verdicts differ from labels; 1 an attack was accepted, executed or late; 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from fail2fix.console.command_line import OneLineParser
from fail2fix.console.printable import one_line
from fail2fix.console.progress import stage
from fail2fix.data.files import require_writable
from fail2fix.method.errors import InputError
from fail2fix.verify.answer_text import ChannelName
from fail2fix.verify.attacks.corpus import Attack, corpus, drawn
from fail2fix.verify.attacks.generated import SEED
from fail2fix.verify.certify.figures import SLACK_S, figures, markdown
from fail2fix.verify.certify.judging import judge_one_by_one
from fail2fix.verify.certify.origin import origin
from fail2fix.verify.certify.peers import DEADLINE_S, PEERS, ask
from fail2fix.verify.certify.respellings import SEED as SPELLING_SEED
from fail2fix.verify.certify.respellings import certify_respellings, draw_golds, respellings
from fail2fix.verify.certify.rows import PREPARED, TruthRow, read_golds, read_truth

CANARY = Path(tempfile.gettempdir()) / "fail2fix-canary"
"""Without a digit, since it is a part of answers."""

PEER_ATTACKS = 8
"""Attacks of each category for peers."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    arguments = parse(argv)
    try:
        certificate = certify(arguments)
    except InputError as error:
        print(f"certify: error: {one_line(str(error))}", file=sys.stderr)
        return 2
    text = markdown(certificate)
    (arguments.out / "certificate.json").write_text(json.dumps(certificate, indent=1) + "\n")
    (arguments.out / "certificate.md").write_text(text)
    print(text)
    attacks = certificate["attacks"]
    return int(bool(attacks and (attacks["ours"]["wrong"] or attacks["executed"] or attacks["late"])))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m fail2fix.verify.certify",
        description=(__doc__ or "").splitlines()[0],
        epilog=(__doc__ or "").split("\n\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = "default: %(default)s"
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="truth sets: gold, response or pred, equal")
    parser.add_argument("--no-attacks", action="store_true", help="truth sets only")
    parser.add_argument("--respell", type=int, default=0, metavar="N", help="re-spell N gold answers (default: none)")
    parser.add_argument("--against", default="", metavar="NAMES", help=f"peers, of {', '.join(PEERS)}")
    parser.add_argument("--channel", choices=get_args(ChannelName), default="auto", help=f"of answers ({default})")
    parser.add_argument("--out", type=Path, default=Path("outputs/certificate"), metavar="DIR", help=default)
    parser.add_argument("--workers", type=int, default=2, metavar="N", help=f"of our pool ({default})")
    parser.add_argument("--deadline", type=float, default=3.0, metavar="S", help=f"a verdict ({default})")
    arguments = parser.parse_intermixed_args(argv)
    arguments.against = [name for name in arguments.against.split(",") if name]
    if unknown := [name for name in arguments.against if name not in PEERS]:
        parser.error(f"--against: unknown {', '.join(unknown)}; there are {', '.join(PEERS)}")
    if arguments.no_attacks and not arguments.files:
        parser.error("--no-attacks and no truth set: there is nothing to judge; name a FILE")
    if arguments.respell < 0 or (arguments.respell and not arguments.files):
        parser.error("--respell needs a positive number and a FILE with gold answers")
    if arguments.workers < 1 or arguments.deadline <= 0:
        parser.error("--workers and --deadline must be positive")
    return arguments


def certify(arguments: argparse.Namespace) -> dict[str, Any]:
    """The certificate. Raises `InputError` before anything is judged."""
    files = [path for path in arguments.files if path.suffix != PREPARED]
    names = Counter(path.name for path in set(files))
    # A file's name, or the whole path if another file has that name.
    boxed = arguments.channel == "boxed"
    truth = {path.name if names[path.name] == 1 else str(path): read_truth(path, boxed) for path in files}
    golds = [row.gold for rows in truth.values() for row in rows if row.equal]
    golds += [gold for path in arguments.files if path not in files for gold in read_golds(path)]
    if CANARY.exists():
        raise InputError(f"{CANARY}: an earlier run's attack made it, or something else did: look, then delete it")
    attacks = [] if arguments.no_attacks else corpus(CANARY)
    require_writable(arguments.out, "--out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {
        "channel": arguments.channel,
        "workers": arguments.workers,
        "deadline_s": arguments.deadline,
        "peer_deadline_s": DEADLINE_S,
        "peer_attacks": PEER_ATTACKS,
        "attack_seed": SEED,
    }
    return {
        "origin": origin(),
        "settings": settings,
        "truth": {name: _judge(name, rows, rows, arguments) for name, rows in truth.items()},
        "attacks": _judge("attacks", _rows(attacks), _rows(drawn(attacks, PEER_ATTACKS)), arguments)
        if attacks
        else None,
        "respellings": _respell(golds, arguments) if arguments.respell else None,
    }


def _respell(golds: Sequence[str], arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = draw_golds(golds, arguments.respell)
    tried = [each for gold in chosen for each in respellings(gold)]
    with stage("re-spellings, ours", len(tried)) as done:
        found = certify_respellings(tried, arguments.workers, arguments.deadline, done)
    return {"golds": len(chosen), "seed": SPELLING_SEED} | found


def _rows(attacks: Sequence[Attack]) -> list[TruthRow]:
    return [TruthRow(f"{attack.category}, {attack.id}", attack.gold, attack.response, False) for attack in attacks]


def _judge(
    name: str, rows: Sequence[TruthRow], asked: Sequence[TruthRow], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Figures of a set: ours on all rows, the peers' on those of `asked`, and where their verdicts differ."""
    with stage(f"{name}, ours", len(rows)) as done:
        pairs = [(row.text, row.gold) for row in rows]
        ours = judge_one_by_one(pairs, arguments.workers, arguments.deadline, arguments.channel, done)
    late = sum(seconds > arguments.deadline + SLACK_S for seconds in ours.seconds)
    result: dict[str, Any] = {"ours": figures(rows, ours), "late": late, "executed": CANARY.exists(), "peers": {}}
    correct = dict(zip(rows, (verdict.correct for verdict in ours.verdicts), strict=True))
    for peer in arguments.against:
        with stage(f"{name}, {peer}", len(asked)) as done:
            theirs = ask(peer, [(row.text, row.gold) for row in asked], done=done)
        differ = [
            {"id": row.id, "label": row.equal, "ours": correct[row]}
            for row, verdict in zip(asked, theirs.verdicts, strict=True)
            if verdict.correct != correct[row]
        ]
        result["peers"][peer] = figures(asked, theirs) | {"disagreements": differ}
    return result


if __name__ == "__main__":
    sys.exit(main())
