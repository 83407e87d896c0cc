"""The terminal: command lines, progress, and text of others made safe to show."""
