"""Which schedule a step of `tests.e2e.timing` has."""

SCHEDULES = ("plain", "serial", "streaming", "lagged")
WARM_UP = 2  # rounds that do not count: engines compile, caches fill, and streaming has not yet carried anything


def schedule_of(step: int) -> str:
    return SCHEDULES[(step - 1) % len(SCHEDULES)]


def round_of(step: int) -> int:
    return (step - 1) // len(SCHEDULES)
