"""Data: the shape of a row, public sets, their preparation, task families, and atomic writing of files."""
