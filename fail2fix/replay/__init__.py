"""Decision replay: what other settings would have chosen and rewarded in the steps of a finished run."""
