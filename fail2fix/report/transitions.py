"""The four transitions from attempt to correction, and the color that each has in every table and picture."""

TRANSITIONS = ("fixed", "kept", "broken", "still_wrong")
CONSOLE_COLORS = {"fixed": "green", "kept": "blue", "broken": "red", "still_wrong": "yellow"}
PICTURE_COLORS = {"fixed": "#2E9E4F", "kept": "#2F6FBF", "broken": "#C8342B", "still_wrong": "#E0A92E"}
