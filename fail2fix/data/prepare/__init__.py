"""Make verl's parquet files of public sets: read rows, drop some by rule, count each drop.

Knows: files, the hub, duplicates, overlaps between sets. Must not know: any one set (`fail2fix.data.sets`), training.
"""
