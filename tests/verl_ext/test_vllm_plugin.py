"""On a CPU vLLM's processes sleep while they wait for each other, and miss no message."""

import pytest

from tests.forked import run_code

pytestmark = pytest.mark.heavy

SHARED = ["fail2fix.verl_ext.cpu.vllm_plugin", "vllm.distributed.device_communicators.shm_broadcast", "zmq"]

# In a process of its own: a plugin changes vLLM for good.
WAITING = """
import resource, sys, threading, time
import zmq
from fail2fix.verl_ext.cpu import vllm_plugin
from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

if sys.argv[1] == "asleep":
    vllm_plugin.wait_asleep()
context = zmq.Context()
writer = SpinCondition(False, context, "ipc://" + sys.argv[2])
reader = SpinCondition(True, context, "ipc://" + sys.argv[2])
written = []
def sleeps():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
def write():
    time.sleep(0.5)
    written.append(True)
    if sys.argv[3] == "announced":
        writer.notify()
for _ in range(3):
    written.clear()
    reader.record_read()
    thread = threading.Thread(target=write)
    thread.start()
    waits, before = 0, sleeps()
    while not written:
        reader.wait(20000)
        waits += 1
    print(waits, sleeps() - before)
    thread.join()
"""


def waits(how: str, address: str, message: str = "announced") -> list[tuple[int, int]]:
    """How often a reader looked and gave its core away, in the half second before each of three messages."""
    ended = run_code(WAITING, how, address, message, preload=SHARED)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return [(int(looks), int(sleeps)) for looks, sleeps in map(str.split, ended.stdout.splitlines())]


def test_a_reader_sleeps_between_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert all(sleeps > 0.8 * looks for looks, sleeps in waits("asleep", str(tmp_path / "socket")))


def test_a_message_whose_announcement_is_lost_is_seen_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    looks = waits("asleep", str(tmp_path / "socket"), "unannounced")
    assert len(looks) == 3
    assert min(looks)[0] > 2, "a reader that relies on announcements looks once, for 20 s"


def test_vllm_itself_polls_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert all(sleeps < 0.2 * looks for looks, sleeps in waits("stock", str(tmp_path / "socket")))


def test_elsewhere_vllm_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cuda")
    assert all(sleeps < 0.2 * looks for looks, sleeps in waits("asleep", str(tmp_path / "socket")))
