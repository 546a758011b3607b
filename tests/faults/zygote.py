"""`python -m tests.faults.zygote LOG`: pays the imports once, then forks a session host for each line on its input.

A host that is killed leaves nothing behind here: children are reaped by the kernel. When the input ends, so does this
process; a host ends when its test closes the control socket.
"""

import asyncio
import json
import os
import signal
import sys

from tests.faults import host


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.close(0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            asyncio.run(host.run(order))
            os._exit(0)
        say(str(pid))


if __name__ == "__main__":
    main(sys.argv[1])
