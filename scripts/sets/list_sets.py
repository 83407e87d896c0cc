"""Print the list of public sets in data/sets/README.md:

python scripts/sets/list_sets.py > data/sets/README.md
"""

from fail2fix.data.sets import all_sets

INTRODUCTION = """# Public sets

Sets that `python -m fail2fix.prepare NAME --out data` knows (`fail2fix/data/sets/`). The `.jsonl` files are sample rows
in the hub's columns. Rows of gsm8k (MIT), deepscaler (MIT), mbpp (CC BY 4.0, Austin et al. 2021), humaneval and
humanevalfix (MIT) are real. The others are written for this project: the set's card names no license, the statements
belong to somebody else, or no row was available.

| set | use | hub id, config | revision | license | rows | known traps |
|---|---|---|---|---|---|---|
"""
END = """
Revisions were read in public text, not fetched, since no hub was available. If a revision is gone, or has another
number of rows than above, the command stops with one line.
"""


def listed() -> str:
    """The list, as Markdown."""
    lines = []
    for name, each in all_sets().items():
        hub = each.hub_id + (f", {each.hub_config}" if each.hub_config else "")
        rows = ", ".join(f"{count:,} {split}" for split, count in each.splits.items())
        cells = (each.revision or "none pinned", each.license, rows, "; ".join(each.traps))
        lines.append(f"| `{name}` | {each.use}, {each.ability} | {hub} | {' | '.join(cells)} |\n")
    return INTRODUCTION + "".join(lines) + END


if __name__ == "__main__":
    print(listed(), end="")
