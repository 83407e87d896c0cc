"""Terminal input and output: command lines, progress, secrets, and escaping of untrusted text."""
