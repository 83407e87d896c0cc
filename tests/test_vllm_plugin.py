"""On a CPU vLLM's processes sleep while they wait for each other, and miss no message."""

import subprocess
import sys

# In a process of its own: a plugin changes vLLM for good.
WAITING = """
import sys, threading, time
import zmq
from fail2fix.verl_ext.cpu import vllm_plugin
from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

if sys.argv[1] == "asleep":
    vllm_plugin.wait_asleep()
context = zmq.Context()
writer = SpinCondition(False, context, "ipc://" + sys.argv[2])
reader = SpinCondition(True, context, "ipc://" + sys.argv[2])
began = time.monotonic()
reader.wait(60000)  # while it connects it polls, as ever: nobody has written
assert time.monotonic() < began + 30
time.sleep(vllm_plugin.CONNECTING_S)
written = []
def write():
    time.sleep(0.5)
    written.append(True)
    writer.notify()
for _ in range(3):
    written.clear()
    reader.record_read()
    thread = threading.Thread(target=write)
    thread.start()
    waits = 0
    while not written:
        reader.wait(20000)
        waits += 1
    thread.join()
    print(waits)
"""


def waits(how: str, address: str) -> list[int]:
    """How often a reader looked before each of three messages came."""
    command = [sys.executable, "-c", WAITING, how, address]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [int(line) for line in ended.stdout.split()]


def test_a_reader_sleeps_until_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert max(waits("asleep", str(tmp_path / "socket"))) <= 2


def test_vllm_itself_polls_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert min(waits("stock", str(tmp_path / "socket"))) > 10


def test_elsewhere_vllm_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cuda")
    assert min(waits("asleep", str(tmp_path / "socket"))) > 10
