"""Write the shipped hashes of evaluation problems (`overlap.shipped_hashes`); a developer's command.

    python scripts/sets/ship_hashes.py --from FOLDER

Reads local copies of every evaluation set, and of the test splits of some training sets. It names sets that FOLDER has
no copy of, and writes no file for them.
"""

import argparse
from pathlib import Path

from fail2fix.data.prepare import overlap
from fail2fix.data.prepare.cleaning import Dropped, Marks, marks, read_all
from fail2fix.data.prepare.overlap import HASHES
from fail2fix.data.prepare.sources import is_at_hand, reader_of, rows_of
from fail2fix.data.sets import all_sets
from fail2fix.data.sets.spec import PublicSet

TEST_SPLITS = {"gsm8k": "gsm8k-test", "math": "math-test", "leetcode": "leetcode-test", "mbpp": "mbpp-test"}
"""Names for the test splits of training sets."""

SAME_PROBLEMS = {"humanevalfix": "humaneval"}
"""Sets with the problems of another set, which share its file."""


def marks_of(chosen: PublicSet, splits: list[str], folder: Path) -> frozenset[Marks]:
    """Marks of the set's problems that figures are computed on."""
    rows = [row for split in splits for row in rows_of(chosen, split, folder)]
    problems = read_all(rows, reader_of(chosen, folder), chosen.ability, Dropped())
    return frozenset(marks(each) for each in problems if chosen.evaluated(each.tags))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", type=Path, dest="folder", metavar="FOLDER", required=True)
    folder = parser.parse_args().folder
    out = Path(overlap.__file__).with_name(HASHES)
    out.mkdir(exist_ok=True)
    for name, chosen in all_sets().items():
        if name in SAME_PROBLEMS or not (chosen.use == "evaluation" or name in TEST_SPLITS):
            continue
        if not is_at_hand(chosen, folder):
            print(f"{name}: {folder} has no copy of it, and no hashes are written")
            continue
        found = marks_of(chosen, ["test"] if name in TEST_SPLITS else list(chosen.splits), folder)
        path = out / f"{TEST_SPLITS.get(name, name)}.txt"
        path.write_text("".join(f"{' '.join(each)}\n" for each in sorted(found)))
        print(path.name, len(found))


if __name__ == "__main__":
    main()
