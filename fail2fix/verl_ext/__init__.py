"""Everything that touches verl. Importing this package itself loads nothing."""
