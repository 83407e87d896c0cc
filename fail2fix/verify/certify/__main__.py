r"""Certify the math verifier on truth sets and on the attack corpus.

    python -m fail2fix.verify.certify [FILE.jsonl[.gz] ...] [options]

Judges every row twice with the verifier and pool of training: all at once for rows per second, and one by one for each
verdict's time. Writes DIR/certificate.json and DIR/certificate.md and prints the latter. Other verifiers (peers) get
one row at a time, and only some attacks of each category, since most bombs cost them seconds and a new process.

A row of a truth set is a JSON object: gold (the right answer as in training data, or a list of texts that are all
required), response (a full solution) or pred (an answer, or null), equal (true or false: whether the answer is right)
and, optionally, id. A row of an attack file has category, gold and response.

    echo '{"gold": "1/2", "response": "So it is \\boxed{0.5}.", "equal": true}' > mine.jsonl
    python -m fail2fix.verify.certify mine.jsonl --no-attacks --against math-verify

Exit status: 0 done, even if verdicts differ from labels; 1 an attack was accepted, executed or late; 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
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
from fail2fix.verify.certify.figures import attack_figures, truth_figures
from fail2fix.verify.certify.judging import Judging, Pair, PeakMemory, judge_at_once, judge_one_by_one
from fail2fix.verify.certify.origin import origin
from fail2fix.verify.certify.peers import PEERS, PeerJudging, ask
from fail2fix.verify.certify.rows import TruthRow, read_truth, truth_files
from fail2fix.verify.certify.table import markdown

CANARY = Path(tempfile.gettempdir()) / "fail2fix-canary"
"""Without a digit, since it is a part of answers."""


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
    return int(bool(attacks and (attacks["accepted"] or attacks["canary_files"] or attacks["over_deadline"])))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m fail2fix.verify.certify",
        description=(__doc__ or "").splitlines()[0],
        epilog=(__doc__ or "").split("\n\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="truth sets: gold, response or pred, equal")
    parser.add_argument("--truth", type=Path, metavar="DIR", help="all truth sets of a folder")
    parser.add_argument("--attacks", type=Path, metavar="FILE", help="attacks (default: the committed corpus)")
    parser.add_argument("--no-attacks", action="store_true", help="truth sets only")
    parser.add_argument("--against", default="", metavar="NAMES", help=f"peers, of {', '.join(PEERS)}")
    parser.add_argument(
        "--channel", choices=get_args(ChannelName), default="auto", help="of answers (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/certificate"), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of our pool (default: %(default)s)")
    parser.add_argument("--deadline", type=float, default=3.0, metavar="S", help="a verdict (default: %(default)s)")
    parser.add_argument(
        "--peer-attacks", type=int, default=8, metavar="N", help="of each category, for peers (default: %(default)s)"
    )
    parser.add_argument(
        "--peer-deadline", type=float, default=10.0, metavar="S", help="a peer's (default: %(default)s)"
    )
    arguments = parser.parse_intermixed_args(argv)
    arguments.against = [name for name in arguments.against.split(",") if name]
    if unknown := [name for name in arguments.against if name not in PEERS]:
        parser.error(f"--against: unknown {', '.join(unknown)}; there are {', '.join(PEERS)}")
    if arguments.no_attacks and not arguments.files and not arguments.truth:
        parser.error("--no-attacks and no truth set: there is nothing to judge; name a FILE or --truth DIR")
    limits = (arguments.workers, arguments.deadline, arguments.peer_deadline, arguments.peer_attacks)
    if arguments.workers < 1 or min(limits) <= 0:
        parser.error("--workers, --deadline, --peer-deadline and --peer-attacks must be positive")
    return arguments


def certify(arguments: argparse.Namespace) -> dict[str, Any]:
    """The certificate. Raises `InputError` before anything is judged."""
    files = [*arguments.files, *(truth_files(arguments.truth) if arguments.truth else [])]
    truth = {_label(path, files): read_truth(path) for path in files}
    if CANARY.exists():
        raise InputError(f"{CANARY}: an earlier run's attack made it, or something else did: look, then delete it")
    attacks = [] if arguments.no_attacks else corpus(CANARY, arguments.attacks)
    require_writable(arguments.out, "--out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {
        "channel": arguments.channel,
        "workers": arguments.workers,
        "deadline_s": arguments.deadline,
        "peer_deadline_s": arguments.peer_deadline,
        "peer_attacks": arguments.peer_attacks,
        "attack_seed": SEED,
    }
    return {
        "origin": origin(),
        "settings": settings,
        "truth": {name: _judge_truth(name, rows, arguments) for name, rows in truth.items()},
        "attacks": _judge_attacks(attacks, arguments) if attacks else None,
    }


def _label(path: Path, files: Sequence[Path]) -> str:
    """Name of a truth set in the certificate: its file's name, or the whole path if another file has that name."""
    alone = all(each == path for each in files if each.name == path.name)
    return path.name if alone else str(path)


def _judge_truth(name: str, rows: Sequence[TruthRow], arguments: argparse.Namespace) -> dict[str, Any]:
    pairs = [(row.text, row.gold) for row in rows]
    with stage(f"{name}, ours at once", len(pairs)):
        together = judge_at_once(pairs, arguments.workers, arguments.deadline, arguments.channel)
    alone = _ours_one_by_one(name, pairs, arguments)
    return truth_figures(rows, together, alone, _peers(name, pairs, arguments))


def _judge_attacks(rows: Sequence[Attack], arguments: argparse.Namespace) -> dict[str, Any]:
    pairs = [(row.response, row.gold) for row in rows]
    with PeakMemory() as watch:
        alone = _ours_one_by_one("attacks", pairs, arguments)
    canary_files = int(CANARY.exists())
    some = drawn(rows, arguments.peer_attacks)
    peers = _peers("attacks", [(row.response, row.gold) for row in some], arguments)
    figures = attack_figures(rows, alone, arguments.deadline, watch.peak, some, peers)
    return figures | {"canary_files": canary_files, "canary_files_after_peers": int(CANARY.exists())}


def _ours_one_by_one(name: str, pairs: Sequence[Pair], arguments: argparse.Namespace) -> Judging:
    with stage(f"{name}, ours one by one", len(pairs)) as done:
        return judge_one_by_one(pairs, arguments.workers, arguments.deadline, arguments.channel, done)


def _peers(name: str, pairs: Sequence[Pair], arguments: argparse.Namespace) -> dict[str, PeerJudging]:
    found = {}
    for peer in arguments.against:
        with stage(f"{name}, {peer}", len(pairs)) as done:
            found[peer] = ask(peer, pairs, arguments.peer_deadline, done)
    return found


if __name__ == "__main__":
    sys.exit(main())
