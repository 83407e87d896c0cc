"""The labelled truth sets beside the repository, as the certificate reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fail2fix.verify.certify.rows import TruthRow, read_truth

TRUTH = Path(__file__).parents[3] / "shared" / "truth"


def truth(name: str) -> list[TruthRow]:
    """The rows of a truth set; skips the test where the set is not there."""
    if not (TRUTH / name).exists():
        pytest.skip(f"{TRUTH / name}: labelled truth is not part of the repository")
    return read_truth(TRUTH / name)
