"""Figures with intervals from a run's files, as a table or JSON; statistics, tables and pictures for other rooms."""
