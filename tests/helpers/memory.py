"""What processes hold in memory, as the system counts it; on Linux with what they share counted in parts."""

import threading
from pathlib import Path

import psutil

# Of Binder, for everything that a person has open there (mybinder.readthedocs.io, usage guidelines).
BINDER = 2e9
# What is left of it for the Jupyter server beside the kernels; test_seats.py holds JupyterLab to it.
SERVER = 0.2e9


def peak(pid: int) -> int:
    """Bytes: the most that this process has had resident so far, and what its children, if any, have now."""
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        own = int(status["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux
        own = psutil.Process(pid).memory_info().rss
    return own + sum(held(child)["pss"] for child in psutil.Process(pid).children(recursive=True))


def held(process: psutil.Process) -> dict[str, int]:
    """Bytes: rss, and pss, in which a page of n processes counts 1/n (rss where the system cannot tell); 0 if gone."""
    try:
        info = process.memory_full_info()
        return {"rss": info.rss, "pss": getattr(info, "pss", info.rss)}
    except psutil.Error:
        return {"rss": 0, "pss": 0}


class Watch(threading.Thread):
    """Looks at processes with their children every half second, while its block runs.

    Args:
        pids: of the processes; more may be appended meanwhile.

    Attributes:
        each: pid → the highest rss and the highest pss that it was seen with, its children included, in bytes.
        together: the sums of all pss and of all rss at the moment when that of pss was highest.
    """

    def __init__(self, pids: list[int]):
        super().__init__(daemon=True)
        self.pids, self.each, self._over = pids, {}, threading.Event()
        self.together = {"rss": 0, "pss": 0}

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.look()

    def look(self) -> None:
        total = {"rss": 0, "pss": 0}
        for pid in list(self.pids):
            try:
                first = psutil.Process(pid)
                all_of_it = [held(one) for one in (first, *first.children(recursive=True))]
            except psutil.Error:
                continue
            now = {kind: sum(one[kind] for one in all_of_it) for kind in ("rss", "pss")}
            before = self.each.setdefault(pid, now)
            self.each[pid] = {kind: max(before[kind], now[kind]) for kind in now}
            total = {kind: total[kind] + now[kind] for kind in now}
        self.together = max(self.together, total, key=lambda sums: sums["pss"])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error) -> None:
        self._over.set()
        self.join()
