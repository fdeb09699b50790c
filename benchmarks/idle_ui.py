"""What does an open but idle UI cost? Linux only.

Usage:
    python -m benchmarks.idle_ui [--seconds 120] [--sensors]

Opens `recsys ui` on a new, empty lake, waits until it is idle, and then reads from /proc how much CPU time each of its
processes takes, in percent of one core. With --sensors, both sensors are switched on and evaluate all the time. No
browser is open; an open page polls every two seconds.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks import PROJECT

SETTLE_S = 45.0
SERVICES = {
    "recsys_assets.ui.webserver": "webserver",
    "dagster._daemon": "daemon",
    "code-server": "code server",
    "api grpc": "code server",
    "recsys_assets.cli": "starter",
}
"""A part of the command of a process -> its kind; the first match counts."""

SWITCH_ON = """mutation on($sensor: String!) { startSensor(sensorSelector: {
  repositoryLocationName: "recsys_assets.definitions", repositoryName: "__repository__", sensorName: $sensor
}) { __typename } }"""


def cpu_seconds(lake: Path) -> dict[str, float]:
    """CPU time so far of each kind of process that has this lake in its environment."""
    mark, used = f"RECSYS_LAKE={lake}".encode(), dict.fromkeys(dict.fromkeys(SERVICES.values()), 0.0)
    for entry in (path for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            if mark not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            # After the command's name, which may hold anything: fields 14 and 15 of proc(5), user and system time.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # it has ended, or belongs to another user
            continue
        service = next((name for part, name in SERVICES.items() if part in command), "starter")
        used[service] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def measure(lake: Path, port: int, seconds: float, *, sensors: bool) -> dict[str, float]:
    """Percent of one core that each kind of process takes when idle."""
    command = [sys.executable, "-m", "recsys_assets.cli", "ui", "--port", str(port)]
    process = subprocess.Popen(command, cwd=PROJECT, env={**os.environ, "RECSYS_LAKE": str(lake)})
    try:
        time.sleep(SETTLE_S)
        for sensor in ("rerun_when_stale", "new_feedback_arrived") if sensors else ():
            question = {"query": SWITCH_ON, "variables": {"sensor": sensor}}
            httpx.post(f"http://127.0.0.1:{port}/graphql", json=question).raise_for_status()
        time.sleep(SETTLE_S if sensors else 0)
        before = cpu_seconds(lake)
        time.sleep(seconds)
        return {name: 100 * (used - before[name]) / seconds for name, used in cpu_seconds(lake).items()}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def main(arguments: list[str]) -> None:
    """Print a line per kind of process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="how long to measure")
    parser.add_argument("--port", type=int, default=3900, help="a free port")
    parser.add_argument("--sensors", action="store_true", help="switch the sensors on")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        shares = measure(Path(folder, "lake").resolve(), asked.port, asked.seconds, sensors=asked.sensors)
    for name, share in shares.items():
        print(f"{name:<12} {share:.2f} % of a core")
    print(f"{'together':<12} {sum(shares.values()):.2f} %")


if __name__ == "__main__":
    main(sys.argv[1:])
