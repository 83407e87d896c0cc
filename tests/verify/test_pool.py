"""The pool under bombs, kills and crowds, with short deadlines."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fail2fix.verify.pool import VerifierPool
from fail2fix.verify.verifier import Verdict
from tests.verify.checks import HANG, HOARD, STOP, bounded

DEADLINE_S = 3.0
SHORT_S = 1.0
"""Deadline of checks that hang."""

RIGHT = (r"\boxed{2x+2}", "2(x+1)")
"""An answer that only a worker can judge."""

BOMB = rf"\boxed{{{HANG}+1}}"


def fresh(count: int) -> list[tuple[str, str]]:
    """Answers that only a worker can judge, each of them new to the pool."""
    return [(rf"\boxed{{2y+{2 * number}}}", f"2(y+{number})") for number in range(1, count + 1)]


@contextmanager
def started(deadline_s: float) -> Iterator[VerifierPool]:
    """A pool whose workers run: no test below means to measure their start."""
    with closing(VerifierPool(check=bounded, max_workers=2, deadline_s=deadline_s)) as pool:
        assert judge(pool, *RIGHT).correct
        yield pool


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with started(DEADLINE_S) as pool:
        yield pool


@pytest.fixture(scope="module")
def quick() -> Iterator[VerifierPool]:
    """As ``pool``, with the deadline of checks that hang."""
    with started(SHORT_S) as quick:
        yield quick


def judge(pool: VerifierPool, response: str, gold: str = "7") -> Verdict:
    return asyncio.run(pool.verify(response, gold))


def workers() -> list[psutil.Process]:
    """This process's verifier workers: the children of its fork server (its resource tracker has none)."""
    return [worker for child in psutil.Process().children() for worker in child.children()]


def test_right_wrong_and_nothing(pool: VerifierPool) -> None:
    assert judge(pool, "The answer is 12.", "12") == Verdict(True, "12", "ok")
    assert judge(pool, *RIGHT) == Verdict(True, "2x+2", "ok")
    assert judge(pool, r"\boxed{2x+4}", "2(x+1)") == Verdict(False, "2x+4", "ok")
    assert judge(pool, r"\boxed{8} or maybe \boxed{7}") == Verdict(False, "8, 7", "ok")
    assert judge(pool, "no idea") == Verdict(False, "", "no_answer")
    assert asyncio.run(pool.verify("It is 7.", "7", "boxed")) == Verdict(False, "", "no_answer")


def test_a_hung_check_is_killed_and_the_next_one_works(quick: VerifierPool) -> None:
    assert judge(quick, rf"\boxed{{{HANG}}}", "y") == Verdict(False, HANG, "timeout")
    assert judge(quick, *fresh(1)[0]).correct


def test_a_stopped_worker_is_not_over_its_deadline(quick: VerifierPool) -> None:
    def resume() -> None:
        while not (stopped := [worker for worker in workers() if worker.status() == psutil.STATUS_STOPPED]):
            time.sleep(0.05)
        time.sleep(2 * SHORT_S)
        stopped[0].resume()

    thread = threading.Thread(target=resume)
    thread.start()
    assert judge(quick, rf"\boxed{{{STOP}}}", "y") == Verdict(True, STOP, "ok")
    thread.join()


def test_a_worker_that_stays_stopped_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fail2fix.verify.pool.WALL_PER_CPU", 1)
    with closing(VerifierPool(check=bounded, max_workers=1, deadline_s=SHORT_S)) as pool:
        assert judge(pool, rf"\boxed{{{STOP}}}", "y") == Verdict(False, STOP, "timeout")
        assert judge(pool, *fresh(1)[0]).correct


OVERSIZED = [
    r"\boxed{5^5^5^5^5}", r"\boxed{99999999!}", r"\boxed{((9!)!)!}", r"\boxed{5^{5^{5^{5^5}}}}",
    r"\boxed{(a+b+c+d+e)^{999}}", r"\boxed{9^{9999999}}", rf"\boxed{{{'(' * 30}x{')' * 30}}}",
    r"\boxed{\sum_{k=1}^{10^{9}} k}",
]  # fmt: skip
NOT_PLAIN = [
    r"\boxed{!3 48c 24}",
    r"\boxed{5!x}",
    r"\boxed{\binom{10^9}{10^8}}",
    rf"\boxed{{{'I am certain of nothing. ' * 40}}}",
]


@pytest.mark.parametrize(("bomb", "status"), [(b, "timeout") for b in OVERSIZED] + [(b, "ok") for b in NOT_PLAIN])
@pytest.mark.parametrize("gold", ["7", r"\sqrt{2}", "x+1"])
def test_what_costs_much_is_wrong_without_a_worker(bomb: str, status: str, gold: str) -> None:
    pool = VerifierPool(max_workers=1)
    verdict = judge(pool, bomb, gold)
    assert pool._workers is None, "no worker was started"
    assert (verdict.correct, verdict.status) == (False, status)


def test_what_is_right_as_text_is_right_whatever_its_size() -> None:
    assert judge(VerifierPool(max_workers=1), r"\boxed{9^{9^{9}}}", "9^{9^{9}}") == Verdict(True, "9^{9^{9}}", "ok")


def test_a_verdict_is_remembered(quick: VerifierPool) -> None:
    first = judge(quick, rf"\boxed{{{HANG}+2}}", "y")
    start = time.monotonic()
    assert judge(quick, rf"\boxed{{{HANG}+2}}", "y") == first
    assert time.monotonic() - start < SHORT_S / 2


def test_bombs_in_every_worker_delay_honest_checks_by_their_deadline_only(quick: VerifierPool) -> None:
    async def mixed() -> list[Verdict]:
        bombs = [(rf"\boxed{{{HANG}+{number + 3}}}", "y") for number in range(2)]
        return await asyncio.gather(*(quick.verify(*pair) for pair in [*bombs, *fresh(20)]))

    verdicts = asyncio.run(mixed())
    assert [verdict.status for verdict in verdicts] == ["timeout"] * 2 + ["ok"] * 20
    assert all(verdict.correct for verdict in verdicts[2:])


def test_a_memory_bomb_is_wrong_and_the_next_check_works() -> None:
    """Two gigabytes where 64 MiB may be had: it fails long before the deadline."""
    pool = VerifierPool(check=bounded, max_workers=1, deadline_s=60, memory_bytes=64 * 2**20)
    try:
        assert judge(pool, rf"\boxed{{{HOARD}}}", "y") == Verdict(False, HOARD, "timeout")
        assert judge(pool, *RIGHT) == Verdict(True, "2x+2", "ok")
    finally:
        pool.close()


def test_many_concurrent_checks_of_long_responses(pool: VerifierPool) -> None:
    async def crowd() -> list[Verdict]:
        return await asyncio.gather(
            *(pool.verify("so " * 20_000 + rf"\boxed{{2z+{2 * i + 2}}}", f"2(z+{i % 100 + 1})") for i in range(300))
        )

    assert [verdict.correct for verdict in asyncio.run(crowd())] == [i < 100 for i in range(300)]


def test_works_in_another_thread_with_its_own_loop(pool: VerifierPool) -> None:
    verdicts: list[Verdict] = []
    threads = [threading.Thread(target=lambda: verdicts.append(judge(pool, *RIGHT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [Verdict(True, "2x+2", "ok")] * 4


def test_starts_in_a_thread_that_ends() -> None:
    """Workers must outlive the thread whose check started them."""
    pool = VerifierPool(check=bounded, max_workers=1, deadline_s=DEADLINE_S)
    thread = threading.Thread(target=judge, args=(pool, *RIGHT))
    thread.start()
    thread.join()
    assert judge(pool, *fresh(1)[0]).correct
    pool.close()


def test_a_cancelled_check_frees_its_worker() -> None:
    async def give_up(pool: VerifierPool) -> Verdict:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.verify(BOMB, "y"), timeout=0.3)
        return await asyncio.wait_for(pool.verify(*fresh(1)[0]), timeout=20)

    pool = VerifierPool(check=bounded, max_workers=1, deadline_s=120)
    judge(pool, *RIGHT)
    assert asyncio.run(give_up(pool)).correct
    pool.close()


def test_a_check_whose_worker_dies_is_repeated() -> None:
    """Killed from outside while at work, the worker is replaced and the check still gets its verdict."""
    pool = VerifierPool(check=bounded, max_workers=1, deadline_s=SHORT_S)
    before = {worker.pid for worker in workers()}
    judge(pool, *RIGHT)
    (worker,) = (worker for worker in workers() if worker.pid not in before)
    threading.Timer(0.3, os.kill, (worker.pid, signal.SIGKILL)).start()
    assert judge(pool, BOMB, "y").status == "timeout"
    assert judge(pool, *fresh(1)[0]).correct
    pool.close()


def test_an_idle_worker_that_dies_is_replaced() -> None:
    pool = VerifierPool(check=bounded, max_workers=1, deadline_s=DEADLINE_S)
    before = {worker.pid for worker in workers()}
    judge(pool, *RIGHT)
    (worker,) = (worker for worker in workers() if worker.pid not in before)
    os.kill(worker.pid, signal.SIGKILL)
    assert judge(pool, *fresh(1)[0]).correct
    time.sleep(0.5)
    assert judge(pool, *fresh(2)[1]).correct
    pool.close()


def test_workers_that_cannot_work_are_an_error_not_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Infrastructure that stays broken: every worker dies on its way up."""
    monkeypatch.setattr("fail2fix.verify.pool._prepare_worker", os._exit)
    pool = VerifierPool(check=bounded, max_workers=1, deadline_s=DEADLINE_S, memory_bytes=3)
    assert judge(pool, *RIGHT) == Verdict(False, "2x+2", "error")
    # What needs no worker is still judged.
    assert judge(pool, r"\boxed{7}") == Verdict(True, "7", "ok")
    pool.close()


def test_recycled_workers_lose_no_check() -> None:
    async def crowd() -> list[Verdict]:
        return await asyncio.gather(*(pool.verify(*pair) for pair in fresh(12)))

    pool = VerifierPool(check=bounded, max_workers=2, deadline_s=DEADLINE_S, max_tasks=3)
    assert all(verdict.correct for verdict in asyncio.run(crowd()))
    pool.close()


def test_close_ends_the_checks_under_way_and_the_pool() -> None:
    async def close_under_way() -> None:
        pool = VerifierPool(check=bounded, max_workers=1, deadline_s=120)
        assert (await pool.verify(*RIGHT)).correct
        under_way = asyncio.create_task(pool.verify(BOMB, "y"))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(pool.close)
        with pytest.raises(RuntimeError, match="closed"):
            await asyncio.wait_for(under_way, timeout=20)
        with pytest.raises(RuntimeError, match="closed"):
            await pool.verify("7", "7")
        pool.close()

    asyncio.run(close_under_way())


def test_no_worker_outlives_a_killed_process() -> None:
    script = (
        "import asyncio\nfrom fail2fix.verify.pool import VerifierPool\nfrom tests.verify.checks import bounded\n"
        "if __name__ == '__main__':\n"
        f"    asyncio.run(VerifierPool(deadline_s=120, check=bounded).verify({BOMB!r}, 'y'))\n"
    )
    owner = psutil.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (family := busy_family(owner)) and time.monotonic() < deadline:
        time.sleep(0.2)
    owner.kill()
    owner.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert family
    assert alive == []


def busy_family(owner: psutil.Process) -> list[psutil.Process]:
    """The descendants of `owner` once one of its workers has been computing for half a second."""
    family = owner.children(recursive=True)
    grandchildren = [worker for child in owner.children() for worker in child.children()]
    busy = [worker for worker in grandchildren if sum(worker.cpu_times()[:2]) > 0.5]
    return family if busy else []


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="max_workers >= 1"):
        VerifierPool(max_workers=0)
    with pytest.raises(ValueError, match="deadline_s > 0"):
        VerifierPool(deadline_s=0)


def test_the_callers_process_never_loads_sympy() -> None:
    script = "import sys, fail2fix.verify.pool; sys.exit('sympy' in sys.modules or 'math_verify' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


MATHS = st.lists(
    st.sampled_from(
        [
            r"\boxed{",
            "}",
            "{",
            r"\frac",
            "7",
            "^",
            "!",
            "(",
            ")",
            r"\sqrt",
            ",",
            "$",
            " = ",
            r"\text",
            "x",
            " or ",
            ".",
        ]
        + ["answer is ", r"\begin{pmatrix}", r"\infty", "%", "\n", "\x00", r"\{", "∞", "9" * 50]
    ),
    max_size=40,
).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(response=st.one_of(st.text(max_size=300), MATHS), gold=st.sampled_from(["7", r"\frac{1}{2}", "x = 7", ""]))
def test_arbitrary_text_never_raises_and_keeps_the_deadline(pool: VerifierPool, response: str, gold: str) -> None:
    assert judge(pool, response, gold).status in ("ok", "no_answer", "timeout")
