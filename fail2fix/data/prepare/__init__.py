"""Makes verl's parquet files of public sets: rows from the hub or a folder, cleaned by rule, each drop counted.

Knows: files, the hub, duplicates, overlaps between sets. Must not know: any one set (`fail2fix.data.sets`), training.
"""
