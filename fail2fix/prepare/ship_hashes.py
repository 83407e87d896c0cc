"""Write the hashes of evaluation problems that the product ships (`overlap.shipped_hashes`).

    python -m fail2fix.prepare.ship_hashes --from FOLDER

A developer's command: it reads local copies of every evaluation set, and of the test splits of GSM8K and MATH.
"""

import argparse
from pathlib import Path

from fail2fix.prepare.cleaning import Dropped, overlap_hash, read_all
from fail2fix.prepare.overlap import HASHES
from fail2fix.prepare.sources import reader_of, rows_of
from fail2fix.sets import all_sets
from fail2fix.sets.spec import PublicSet

TEST_SPLITS = {"gsm8k": "gsm8k-test", "math": "math-test"}
"""Of training sets, under names of their own."""


def hashes_of(chosen: PublicSet, splits: list[str], folder: Path) -> list[str]:
    """The hashes of the set's problems, sorted."""
    rows = [row for split in splits for row in rows_of(chosen, split, folder)]
    problems = read_all(rows, reader_of(chosen, folder), chosen.ability, Dropped())
    return sorted({overlap_hash(each.problem.text) for each in problems})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fail2fix.prepare.ship_hashes", description=__doc__)
    parser.add_argument("--from", type=Path, dest="folder", metavar="FOLDER", required=True)
    folder = parser.parse_args().folder
    out = Path(__file__).with_name(HASHES)
    out.mkdir(exist_ok=True)
    for name, chosen in all_sets().items():
        if chosen.use == "evaluation":
            found = hashes_of(chosen, list(chosen.splits), folder)
        elif name in TEST_SPLITS:
            found = hashes_of(chosen, ["test"], folder)
        else:
            continue
        path = out / f"{TEST_SPLITS.get(name, name)}.txt"
        path.write_text("\n".join(found) + "\n")
        print(path.name, len(found))


if __name__ == "__main__":
    main()
