"""Print the list of public sets in data/sets/README.md:

python scripts/sets/list_sets.py > data/sets/README.md
"""

from fail2fix.data.sets import all_sets

INTRODUCTION = """# Public sets

This folder lists the public sets that can be prepared (`fail2fix/data/sets/`), with sample rows.

```bash
python -m fail2fix.prepare NAME --out data                    # from the hub
python -m fail2fix.prepare NAME --out data --from FOLDER      # from local copies
```

The `.jsonl` files are sample rows in the hub's columns. Rows of gsm8k (MIT), deepscaler (MIT), mbpp (CC BY 4.0, Austin
et al. 2021), humaneval and humanevalfix (MIT) are real. The others are written for this project, because the set's card
names no license, somebody else owns the statements, or no row was available.

| set | use | hub id, config | revision | license | rows | known traps |
|---|---|---|---|---|---|---|
"""
END = """
Revisions are from public text and were not fetched, because no hub was available. If a revision no longer exists, or
has another number of rows than above, the command stops with one line.
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
