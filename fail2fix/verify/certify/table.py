"""Certificate as Markdown. Knows its figures; computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

TRUTH_COLUMNS = (
    "truth set", "verifier", "right, accepted", "wrong, accepted", "right, refused", "wrong, refused", "rows/s",
    "p99 s", "worst s", "not judged",
)  # fmt: skip
COUNTS = ("true_accepts", "false_accepts", "false_rejects", "true_rejects")


def markdown(certificate: dict[str, Any]) -> str:
    """The whole certificate without the peers' disagreements, which are in the JSON."""
    return "\n".join(_lines(certificate)) + "\n"


def _lines(certificate: dict[str, Any]) -> Iterator[str]:
    origin, settings = certificate["origin"], certificate["settings"]
    machine = origin["machine"]
    yield f"Commit {origin['commit']}, {origin['made']}, Python {origin['python']}, {machine['cpus']} CPUs, "
    yield f"load {machine['load'][0]:.1f}, "
    yield f"channel {settings['channel']}, {settings['workers']} workers, deadline {settings['deadline_s']} s.\n"
    if certificate["truth"]:
        yield from _truth_table(certificate["truth"])
        for name, figures in certificate["truth"].items():
            yield from _wrong_rows(name, figures["ours"]["wrong"])
    if certificate["attacks"]:
        yield from _attack_table(certificate["attacks"])


def _truth_table(truth: dict[str, Any]) -> Iterator[str]:
    yield _header(TRUTH_COLUMNS)
    for name, figures in truth.items():
        ours = figures["ours"]
        limits = sum(count for status, count in ours["statuses"].items() if status in ("timeout", "error"))
        yield _truth_line(name, "ours", ours, limits)
        for peer, theirs in figures["peers"].items():
            yield _truth_line(name, peer, theirs, theirs["killed"] + theirs["raised"])
    yield ""


def _truth_line(name: str, verifier: str, figures: dict[str, Any], not_judged: int) -> str:
    counts = " | ".join(f"{figures['confusion'][count]:,}" for count in COUNTS)
    times = figures["latency_s"]
    speed = f"{figures['rows_per_s']:,.0f} | {times['p99']:.4f} | {times['worst']:.3f}"
    return f"| {name} | {verifier} | {counts} | {speed} | {not_judged} |"


def _wrong_rows(name: str, wrong: list[dict[str, Any]]) -> Iterator[str]:
    if wrong:
        yield f"{name}: {len(wrong)} verdicts differ from the label\n"
        yield _header(("row", "verdict", "gold", "judged", "status"))
        for row in wrong:
            yield f"| {row['id']} | {row['kind']} | {_code(row['gold'])} | {_code(row['judged'])} | {row['status']} |"
        yield ""


def _attack_table(attacks: dict[str, Any]) -> Iterator[str]:
    yield f"{attacks['rows']:,} attacks, {attacks['canary_files']} canary files, "
    memory = f"{attacks['peak_memory_bytes'] / 2**20:.0f} MiB"
    yield f"{attacks['over_deadline']} verdicts late, workers' peak memory {memory}\n"
    yield _header(("verifier", "attacks", "accepted", "killed", "p99 s", "worst s"))
    killed = attacks["statuses"].get("timeout", 0)
    yield _attack_line("ours", attacks["rows"], len(attacks["accepted"]), killed, attacks["latency_s"])
    for peer, theirs in attacks["peers"].items():
        yield _attack_line(peer, theirs["rows"], theirs["accepted"], theirs["killed"], theirs["latency_s"])
    for row in attacks["accepted"]:
        yield f"\naccepted: {row['id']}, gold {_code(row['gold'])}: {_code(row['response'])}"


def _attack_line(verifier: str, rows: int, accepted: int, killed: int, times: dict[str, float]) -> str:
    return f"| {verifier} | {rows:,} | {accepted:,} | {killed:,} | {times['p99']:.4f} | {times['worst']:.3f} |"


def _header(columns: Sequence[str]) -> str:
    return f"| {' | '.join(columns)} |\n|" + " --- |" * len(columns)


def _code(text: str) -> str:
    """A text for a cell: one line, no cell border, no tick that would end it."""
    return "`" + " ".join(text.split()).replace("|", "\\|").replace("`", "'")[-80:] + "`"
