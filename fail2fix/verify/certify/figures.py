"""Figures of a certificate: counts, wrong rows and times, as JSON and as Markdown. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fail2fix.verify.certify.judging import Judging
from fail2fix.verify.certify.rows import TruthRow
from fail2fix.verify.verifier import Verdict

SLACK_S = 0.5
"""Seconds that a verdict may take beyond its deadline, since killing a process takes time."""

SHOWN_CHARS = 200
COUNTS = {
    "true_accepts": (True, True),
    "false_accepts": (False, True),
    "false_rejects": (True, False),
    "true_rejects": (False, False),
}
"""Name of each count: the label, and whether the answer was accepted."""

COLUMNS = (
    "rows of", "verifier", "right, accepted", "wrong, accepted", "right, refused", "wrong, refused", "rows/s",
    "p99 s", "worst s", "not judged",
)  # fmt: skip


def confusion(rows: Sequence[TruthRow], verdicts: Sequence[Verdict]) -> dict[str, int]:
    """The four counts; a missing verdict counts as refused."""
    pairs = Counter((row.equal, verdict.correct) for row, verdict in zip(rows, verdicts, strict=True))
    return {name: pairs[pair] for name, pair in COUNTS.items()}


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and worst."""
    ordered = sorted(seconds)
    places = {"p50": len(ordered) // 2, "p99": min(len(ordered) - 1, int(0.99 * len(ordered))), "worst": -1}
    return {name: round(ordered[place], 6) for name, place in places.items()}


def figures(rows: Sequence[TruthRow], judging: Judging) -> dict[str, Any]:
    """Figures of one verifier on a set."""
    return {
        "rows": len(rows),
        "confusion": confusion(rows, judging.verdicts),
        "statuses": dict(Counter(verdict.status for verdict in judging.verdicts)),
        "rows_per_s": round(len(rows) / sum(judging.seconds), 1),
        "latency_s": latency(judging.seconds),
        "wrong": [
            {
                "id": row.id,
                "kind": "false accept" if verdict.correct else "false reject",
                "gold": row.gold[-SHOWN_CHARS:],
                "judged": verdict.pred[:SHOWN_CHARS],
                "status": verdict.status,
            }
            for row, verdict in zip(rows, judging.verdicts, strict=True)
            if verdict.correct != row.equal
        ],
    }


def markdown(certificate: Mapping[str, Any]) -> str:
    """The certificate without the peers' wrong rows, which are in the JSON."""
    return "\n".join(_lines(certificate)) + "\n"


def _lines(certificate: Mapping[str, Any]) -> Iterator[str]:
    origin, settings, sets = certificate["origin"], certificate["settings"], dict(certificate["truth"])
    yield f"Commit {origin['commit']}, {origin['made']}, Python {origin['python']}, {origin['cpus']} CPUs, "
    yield f"load {origin['load'][0]:.1f}, "
    yield f"channel {settings['channel']}, {settings['workers']} workers, deadline {settings['deadline_s']} s.\n"
    if attacks := certificate["attacks"]:
        sets["attacks"] = attacks
        yield f"Attacks: {attacks['late']} verdicts late, {'a' if attacks['executed'] else 'no'} text executed.\n"
    yield from respelled(certificate["respellings"])
    yield _table_head(COLUMNS)
    for name, found in sets.items():
        for verifier, each in {"ours": found["ours"], **found["peers"]}.items():
            yield _line(name, verifier, each)
    for name, found in sets.items():
        if wrong := found["ours"]["wrong"]:
            yield f"\n{name}: {len(wrong)} verdicts differ from the label\n"
            yield _table_head(("row", "verdict", "gold", "judged", "status"))
            for row in wrong:
                texts = f"{_code(row['gold'])} | {_code(row['judged'])}"
                yield f"| {row['id']} | {row['kind']} | {texts} | {row['status']} |"


def respelled(found: Mapping[str, Any] | None) -> Iterator[str]:
    """Shares of re-spellings, and the kinds with a wrong verdict."""
    if not found:
        return
    yield f"{found['golds']:,} gold answers re-spelled, seed {found['seed']}, {found['not_judged']} not judged: "
    for name, said in (("kept", "refused"), ("altered", "accepted")):
        kinds = found[name].values()
        tried, wrong = sum(kind["tried"] for kind in kinds), sum(kind["wrong"] for kind in kinds)
        share = 100 * wrong / max(tried, 1)
        yield f"{len(kinds)} kinds of {name} values, {wrong:,} of {tried:,} {said} ({share:.3f} %)."
    wrong_kinds = [
        (name, kind, each) for name in ("kept", "altered") for kind, each in found[name].items() if each["wrong"]
    ]
    if wrong_kinds:
        yield "\n" + _table_head(("value", "kind", "wrong", "of", "gold", "judged"))
        for name, kind, each in wrong_kinds:
            texts = " | ".join(_code(each["examples"][0][key]) for key in ("gold", "said"))
            yield f"| {name} | {_code(kind)} | {each['wrong']:,} | {each['tried']:,} | {texts} |"
    yield ""


def _line(name: str, verifier: str, found: Mapping[str, Any]) -> str:
    counts = " | ".join(f"{found['confusion'][count]:,}" for count in COUNTS)
    speed = f"{found['rows_per_s']:,.0f} | {found['latency_s']['p99']:.4f} | {found['latency_s']['worst']:.3f}"
    not_judged = sum(found["statuses"].get(status, 0) for status in ("timeout", "error"))
    return f"| {name} | {verifier} | {counts} | {speed} | {not_judged:,} |"


def _table_head(columns: Sequence[str]) -> str:
    return f"| {' | '.join(columns)} |\n|" + " --- |" * len(columns)


def _code(text: str) -> str:
    """A text for a cell: one line, no cell border, no tick that would end it."""
    return "`" + " ".join(text.split()).replace("|", "\\|").replace("`", "'")[-80:] + "`"
