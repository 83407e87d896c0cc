"""Which kind of step takes its turn in a run of `tests.e2e.support.timing`: plain GRPO, or a source of attempts."""

TURNS = ("plain", "online", "lagged")
WARM_UP = 2  # rounds that do not count: engines compile, caches fill


def turn_of(step: int, turns: tuple[str, ...] = TURNS) -> str:
    return turns[(step - 1) % len(turns)]


def round_of(step: int, turns: tuple[str, ...] = TURNS) -> int:
    return (step - 1) // len(turns)
