"""Run a command as a job of a Ray cluster: ``python -m fail2fix.cluster.job [--no-wait] URL WORD ...``

``ray job submit`` hands the words to a shell as they are, and Hydra overrides hold brackets and quotes; here they
arrive as they were given. The job's environment is that of the cluster's head. It goes on if this process ends; unless
``--no-wait``, this process prints its output and ends with its status.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from typing import TYPE_CHECKING

from aiohttp import ClientError

from fail2fix.run.faults import Exit

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

NO_WAIT = "--no-wait"
START_S = 60.0
LOOK_S = 2.0
UNREACHED = (OSError, ClientError, RuntimeError)  # of requests and sockets, of aiohttp, of Ray


def submit(url: str, words: list[str]) -> tuple[JobSubmissionClient, str]:
    """Hand the command over; the cluster's door, and the job's name there.

    Raises:
        OSError, ClientError, RuntimeError: the cluster took no job for `START_S` seconds.
    """
    from ray.job_submission import JobSubmissionClient

    until = time.monotonic() + START_S
    while True:
        try:
            client = JobSubmissionClient(url)
            return client, client.submit_job(entrypoint=f"exec {shlex.join(words)}")
        except UNREACHED:  # also as long as a new head still starts what takes jobs
            if time.monotonic() > until:
                raise
            time.sleep(LOOK_S)


async def follow(client: JobSubmissionClient, job: str) -> int:
    """Print what the job says until it ends, over lost connections too; its exit status.

    Raises:
        OSError, ClientError, RuntimeError: the cluster did not answer for `START_S` seconds.
    """
    printed, until = 0, time.monotonic() + START_S
    while True:
        try:
            said = 0
            async for lines in client.tail_job_logs(job):  # from its beginning
                print(lines[max(0, printed - said) :], end="", flush=True)
                said += len(lines)
                printed = max(printed, said)
            info = client.get_job_info(job)
            if info.status.is_terminal():
                # None: its node is gone, or it was stopped for good
                return Exit.FAULT if info.driver_exit_code is None else info.driver_exit_code
            until = time.monotonic() + START_S
        except UNREACHED:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(LOOK_S)


def main() -> None:
    """The command line."""
    words = [word for word in sys.argv[1:] if word != NO_WAIT]
    if len(words) < 2:
        _say("usage: python -m fail2fix.cluster.job [--no-wait] URL WORD ...; URL is http://HEAD:8265")
        sys.exit(Exit.BAD_INPUT)
    url, *command = words
    try:
        client, job = submit(url, command)
    except UNREACHED as error:
        _say(f"{url}: {' '.join(str(error).split())}; is the cluster up, and is this its head (scripts/cluster.sh)?")
        sys.exit(Exit.FAULT)
    _say(f"{job} (ray job logs --address {url} --follow {job}; ray job stop --address {url} {job})")
    if NO_WAIT in sys.argv:
        return
    try:
        sys.exit(asyncio.run(follow(client, job)))
    except UNREACHED as error:
        _say(f"{url}: {' '.join(str(error).split())}; whether {job} goes on is not known")
        sys.exit(Exit.FAULT)


def _say(text: str) -> None:
    print(f"fail2fix.cluster.job: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
