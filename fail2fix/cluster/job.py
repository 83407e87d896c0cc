"""Run a command as a job of a Ray cluster: ``python -m fail2fix.cluster.job [--no-wait] URL WORD ...``

``ray job submit`` passes the words through a shell, which would change the brackets and quotes of Hydra overrides; here
they arrive unchanged. The job has the environment of the cluster's head and continues if this process ends. Unless
``--no-wait``, this process prints the job's output and ends with its status.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import ClientError

from fail2fix.run.exit_status import Exit

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

NO_WAIT = "--no-wait"
START_S = 60.0
LOOK_S = 2.0
UNREACHED = (OSError, ClientError, RuntimeError)  # of requests and sockets, of aiohttp, of Ray


@contextmanager
def _retried(until: float) -> Iterator[None]:
    """Ignore that the cluster does not answer, until a time of `time.monotonic`."""
    try:
        yield
    except UNREACHED:
        if time.monotonic() > until:
            raise


def submit(url: str, words: list[str]) -> tuple[JobSubmissionClient, str]:
    """Submit the command; return the cluster's client, and the job's name there.

    Raises:
        OSError, ClientError, RuntimeError: the cluster accepted no job for `START_S` seconds.
    """
    from ray.job_submission import JobSubmissionClient

    until = time.monotonic() + START_S
    while True:
        with _retried(until):  # also while a new head still starts its job server
            client = JobSubmissionClient(url)
            return client, client.submit_job(entrypoint=f"exec {shlex.join(words)}")
        time.sleep(LOOK_S)


async def follow(client: JobSubmissionClient, job: str) -> int:
    """Print the job's output until it ends, across lost connections; return its exit status.

    Raises:
        OSError, ClientError, RuntimeError: the cluster did not answer for `START_S` seconds.
    """
    printed, until = 0, time.monotonic() + START_S
    while True:
        with _retried(until):
            read = 0
            async for lines in client.tail_job_logs(job):  # from its beginning
                print(lines[max(0, printed - read) :], end="", flush=True)
                read += len(lines)
                printed = max(printed, read)
            info = client.get_job_info(job)
            if info.status.is_terminal():
                # None: its node is gone, or the job was killed
                return Exit.FAULT if info.driver_exit_code is None else info.driver_exit_code
            until = time.monotonic() + START_S
        await asyncio.sleep(LOOK_S)


def main() -> None:
    """Submit the command line's job and follow it."""
    words = [word for word in sys.argv[1:] if word != NO_WAIT]
    if len(words) < 2:
        _say("usage: python -m fail2fix.cluster.job [--no-wait] URL WORD ...; URL is http://HEAD:8265")
        sys.exit(Exit.BAD_INPUT)
    url, *command = words
    hint = "is the cluster up, and is this its head (scripts/cluster.sh)?"
    try:
        client, job = submit(url, command)
        hint = f"{job} may still be running"
        _say(f"{job} (ray job logs --address {url} --follow {job}; ray job stop --address {url} {job})")
        status = Exit.FINISHED if NO_WAIT in sys.argv else asyncio.run(follow(client, job))
    except UNREACHED as error:
        _say(f"{url}: {' '.join(str(error).split())}; {hint}")
        status = Exit.FAULT
    sys.exit(status)


def _say(text: str) -> None:
    print(f"fail2fix.cluster.job: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
