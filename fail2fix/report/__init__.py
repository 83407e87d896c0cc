"""Figures of a run from its files, as a table, JSON or an HTML page; statistics, tables, pictures for other rooms."""
