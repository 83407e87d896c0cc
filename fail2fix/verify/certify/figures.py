"""Figures of a certificate: counts, wrong rows and times, as JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fail2fix.verify.attacks.corpus import Attack
from fail2fix.verify.certify.judging import Judging
from fail2fix.verify.certify.peers import PeerJudging
from fail2fix.verify.certify.rows import TruthRow

SLACK_S = 0.5
"""Seconds that a verdict may take beyond its deadline, since killing a process takes time."""

SHOWN_CHARS = 200


def confusion(rows: Sequence[TruthRow], accepted: Sequence[bool | None]) -> dict[str, int]:
    """The four counts; a missing verdict counts as refused."""
    pairs = Counter((row.equal, bool(verdict)) for row, verdict in zip(rows, accepted, strict=True))
    return {
        "true_accepts": pairs[True, True],
        "false_accepts": pairs[False, True],
        "false_rejects": pairs[True, False],
        "true_rejects": pairs[False, False],
    }


def truth_figures(
    rows: Sequence[TruthRow], together: Judging, alone: Judging, peers: Mapping[str, PeerJudging]
) -> dict[str, Any]:
    """Figures of one truth set: ours, and each peer's with its disagreements."""
    ours = [verdict.correct for verdict in together.verdicts]
    return {
        "rows": len(rows),
        "ours": {
            "confusion": confusion(rows, ours),
            "statuses": dict(Counter(verdict.status for verdict in together.verdicts)),
            "rows_per_s": round(len(rows) / together.total_s, 1),
            "latency_s": latency(alone.seconds),
            "wrong": _wrong(rows, together),
        },
        "peers": {name: _peer_figures(rows, ours, judging) for name, judging in peers.items()},
    }


def attack_figures(
    rows: Sequence[Attack],
    alone: Judging,
    deadline_s: float,
    peak_bytes: int,
    asked: Sequence[Attack],
    peers: Mapping[str, PeerJudging],
) -> dict[str, Any]:
    """Figures of the attack corpus; peers judged only the rows of `asked`."""
    accepted = [row for row, verdict in zip(rows, alone.verdicts, strict=True) if verdict.correct]
    return {
        "rows": len(rows),
        "categories": dict(Counter(row.category for row in rows)),
        "accepted": [{"id": row.id, "gold": row.gold, "response": row.response[:SHOWN_CHARS]} for row in accepted],
        "statuses": dict(Counter(verdict.status for verdict in alone.verdicts)),
        "latency_s": latency(alone.seconds),
        "over_deadline": sum(seconds > deadline_s + SLACK_S for seconds in alone.seconds),
        "peak_memory_bytes": peak_bytes,
        "peers": {name: _peer_on_attacks(asked, judging) for name, judging in peers.items()},
    }


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and worst."""
    ordered = sorted(seconds)
    places = {"p50": len(ordered) // 2, "p99": min(len(ordered) - 1, int(0.99 * len(ordered))), "worst": -1}
    return {name: round(ordered[place], 6) for name, place in places.items()}


def _wrong(rows: Sequence[TruthRow], judging: Judging) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "kind": "false accept" if verdict.correct else "false reject",
            "gold": row.gold[-SHOWN_CHARS:],
            "judged": verdict.pred[:SHOWN_CHARS],
            "status": verdict.status,
        }
        for row, verdict in zip(rows, judging.verdicts, strict=True)
        if verdict.correct != row.equal
    ]


def _peer_figures(rows: Sequence[TruthRow], ours: Sequence[bool], peer: PeerJudging) -> dict[str, Any]:
    differ = [
        {"id": row.id, "label": row.equal, "ours": mine, "theirs": theirs}
        for row, mine, theirs in zip(rows, ours, peer.accepted, strict=True)
        if mine != bool(theirs)
    ]
    return {
        "confusion": confusion(rows, peer.accepted),
        "killed": peer.killed,
        "raised": sum(verdict is None for verdict in peer.accepted) - peer.killed,
        "rows_per_s": round(len(rows) / sum(peer.seconds), 1),
        "latency_s": latency(peer.seconds),
        "disagreements": differ,
        "disagreements_where_we_are_right": sum(row["ours"] == row["label"] for row in differ),
    }


def _peer_on_attacks(rows: Sequence[Attack], peer: PeerJudging) -> dict[str, Any]:
    accepted = [row.category for row, verdict in zip(rows, peer.accepted, strict=True) if verdict]
    return {
        "rows": len(rows),
        "accepted": len(accepted),
        "accepted_by_category": dict(Counter(accepted)),
        "killed": peer.killed,
        "latency_s": latency(peer.seconds),
    }
