"""Turn public sets into verl's parquet files: ``python -m fail2fix.prepare NAME... --out DIR [--from FOLDER]``."""

from fail2fix.console.command_line import run_command
from fail2fix.data.prepare.command import main

if __name__ == "__main__":
    run_command(main)
