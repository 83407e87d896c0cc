"""Print the list of public sets that stands in data/sets/README.md.

python -m fail2fix.data.prepare.list_sets > data/sets/README.md
"""

from fail2fix.data.sets import all_sets

INTRODUCTION = """# Public sets

What `python -m fail2fix.prepare NAME --out data` knows; a set is one module of `fail2fix/sets/`. The `.jsonl` files are
sample rows in the hub's columns: real ones of gsm8k (MIT), deepscaler (MIT), mbpp (CC BY 4.0, Austin et al. 2021) and
humaneval, humanevalfix (MIT); the others are written here, since the set's card names no licence, its statements are
somebody else's, or no row of it was at hand.

| set | use | hub id, config | revision | licence | rows | known traps |
|---|---|---|---|---|---|---|
"""
END = """
Revisions were read in public text, not fetched: this was written where no hub is. A revision that is gone, or whose
rows are not as many as above, ends the command in one line.
"""


def listed() -> str:
    """The list, as Markdown."""
    lines = []
    for name, each in all_sets().items():
        hub = each.hub_id + (f", {each.hub_config}" if each.hub_config else "")
        rows = ", ".join(f"{count:,} {split}" for split, count in each.splits.items())
        cells = (
            f"`{name}`",
            f"{each.use}, {each.ability}",
            hub,
            each.revision or "none pinned",
            each.licence,
            rows,
            "; ".join(each.traps),
        )
        lines.append(f"| {' | '.join(cells)} |\n")
    return INTRODUCTION + "".join(lines) + END


if __name__ == "__main__":
    print(listed(), end="")
