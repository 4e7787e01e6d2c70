"""`regatta status --watch`: plain lines in a log, redrawing on a terminal, its end with the sweep's and with Ctrl-C.

  watch_status.py REGATTA TEST_REPORT      TEST_REPORT makes the sweep
"""
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

regatta, test_report = sys.argv[1:]
COMMAND = [regatta, "status", "--watch", "--every", "0.2"]


def check(good, what):
    if not good:
        sys.exit(f"watch_status: {what}")


def ended(process):
    try:
        return process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        sys.exit("watch_status: it does not end")


def in_log(sweep):
    process = subprocess.Popen([*COMMAND, sweep], stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  11 of 12 trials done", first), f"the first line is {first!r}")
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    check(ended(process) == 0, "Ctrl-C gives an exit code")
    check("\x1b" not in rest and rest.endswith("the sweep is not affected\n"), f"in a log: {rest[-200:]!r}")


def on_terminal(sweep):
    leader, follower = pty.openpty()
    process = subprocess.Popen([*COMMAND, sweep], stdout=follower)
    os.close(follower)
    shown = b""
    deadline = time.monotonic() + 30
    while shown.count(b"\x1b[H") < 3 and time.monotonic() < deadline:
        if select.select([leader], [], [], 0.2)[0]:
            shown += os.read(leader, 1 << 16)
    process.send_signal(signal.SIGINT)
    check(ended(process) == 0, "Ctrl-C on a terminal gives an exit code")
    check(shown.count(b"\x1b[H") >= 3, f"it is not redrawn: {shown!r}")
    check(b"brains  [######################..]  11 of 12" in shown, f"no bar: {shown!r}")
    os.close(leader)


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([test_report, "[pages]"], env={**os.environ, "REGATTA_PAGES": folder}, check=True,
                       stdout=subprocess.DEVNULL)
        sweep = pathlib.Path(folder) / "brains"
        in_log(sweep)
        on_terminal(sweep)
        done = subprocess.run([*COMMAND, pathlib.Path(folder) / "done"], stdout=subprocess.PIPE, text=True, timeout=60)
        check(done.returncode == 0, "a finished sweep gives an exit code")
        check("finished; the leaderboard: regatta collect " in done.stdout, f"the end is not said: {done.stdout!r}")
    print("watch_status: in a log, on a terminal, to the end")


main()
