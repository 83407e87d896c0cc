"""A run's report: ``python -m fail2fix.report RUN_DIR [--json]``."""

import sys

from fail2fix.report.figures import main

if __name__ == "__main__":
    sys.exit(main())
