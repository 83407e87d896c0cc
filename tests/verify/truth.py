"""The labelled truth sets beside the repository, as the certificate reads them."""

from __future__ import annotations

from fail2fix.verify.certify.rows import TruthRow, read_truth
from tests.shared import TRUTH


def truth(name: str) -> list[TruthRow]:
    """The rows of a truth set; its test is marked ``needs_shared``."""
    return read_truth(TRUTH / name)
