"""Which schedule a step of `tests.e2e.support.timing` has."""

SCHEDULES = ("plain", "serial", "streaming", "lagged")
WARM_UP = 2  # rounds that do not count: engines compile, caches fill, and streaming has not yet carried anything


def schedule_of(step: int, schedules: tuple[str, ...] = SCHEDULES) -> str:
    return schedules[(step - 1) % len(schedules)]


def round_of(step: int, schedules: tuple[str, ...] = SCHEDULES) -> int:
    return (step - 1) // len(schedules)
