"""Data: the shape of a row, public sets, their preparation, small task families, and files that are written whole."""
