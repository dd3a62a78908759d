"""What a seat in a class needs: memory and CPU of each notebook of the lesson, and of several kernels on two cores.

    python benchmarks/seats.py [--short]      --short: few steps and seeds, one and two kernels at once
    python benchmarks/seats.py --page         writes the newest record's figures into docs/class.md, measures nothing

Each notebook runs from top to bottom with its own parameters in a kernel of its own, with one thread
(OMP_NUM_THREADS=1, as docs/class.md sets it), and so does notebook 03 (02 in the short form), 1, 2 and 4 times at
once on two cores. The server is a JupyterLab with a notebook open and its kernel started. How many seats a machine
carries is computed from that.

Memory: a kernel's highest resident set, and what its children hold with it. In pss a page that n processes share counts
1/n, so a sum of pss counts libraries once; nothing else on the machine may use torch meanwhile.
"""

import argparse
import asyncio
import importlib.util
import json
import math
import os
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
import harness  # noqa: E402
import memory  # noqa: E402

from workbook.kernels import ThisPython  # noqa: E402

AT_ONCE, SHORTER = "03_distil_a_student", "02_soft_targets"
SHORT = {
    "00": {"labelled": 20}, "01": {"steps": 20}, "02": {"pictures": 500, "steps": 20}, "03": {"seeds": 2, "steps": 20},
    "04": {"batches": [1, 16], "seconds": 0.02},
    "05": {"teacher_steps": 10, "student_steps": 10, "few": 20, "seeds": 2},
}
# What is assumed: the machine, what its system and the hub keep, and how many students compute in the same moment.
MEMORY_GB, CORES, SYSTEM_GB, COMPUTING, CLASS = 64, 16, 4, 0.1, 200
LIMIT_GB = memory.BINDER / 1e9  # of a seat, as on Binder
PAGE = ROOT / "docs" / "class.md"
BEGIN, END = "<!-- from the record: python benchmarks/seats.py --page -->", "<!-- end -->"


async def kernel(path: Path, parameters: dict, watch: memory.Watch) -> dict:
    """Runs a notebook, saved nowhere: seconds, CPU seconds, peaks of memory in bytes (rss, pss)."""
    notebook = nbformat.read(path, 4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
    resources, start = {"metadata": {"path": str(path.parent)}}, time.perf_counter()
    client = NotebookClient(notebook, resources=resources, kernel_manager_class=ThisPython, timeout=None)
    async with client.async_setup_kernel():
        watch.pids.append(pid := client.km.provisioner.pid)
        for place, one in enumerate(notebook.cells):
            await client.async_execute_cell(one, place)
        seconds = time.perf_counter() - start
        times, most = psutil.Process(pid).cpu_times(), memory.peak(pid)
        watch.look()
        spent = times.user + times.system + times.children_user + times.children_system
        found = watch.each[pid]
        watch.pids.remove(pid)
    return {"seconds": seconds, "cpu_seconds": spent, "rss": max(most, found["rss"]), "pss": found["pss"]}


async def at_once(path: Path, parameters: dict, count: int) -> dict:
    """So many kernels with the same notebook: what each took, and their sums of rss and pss where pss was highest."""
    with memory.Watch([]) as watch:
        found = await asyncio.gather(*(kernel(path, parameters, watch) for _ in range(count)))
    return {"kernels": found, "together": watch.together}


def server(place: Path) -> dict:
    """A JupyterLab, as the browser tests start it, that has sent a notebook and started its kernel: its own memory."""
    lab = harness.Server(place)
    try:
        path, name = "notebooks/00_start_here.ipynb", "00_start_here.ipynb"
        for part in ("lab", f"api/contents/{path}", "api/kernelspecs", "lab/api/settings"):
            urllib.request.urlopen(f"{lab.url}/{part}", timeout=60).read()
        page = urllib.request.urlopen(f"{lab.url}/lab", timeout=60)
        token = re.search(r"_xsrf=([^;]+)", " ".join(page.headers.get_all("Set-Cookie") or [])).group(1)
        asked = {"path": path, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
        headers = {"X-XSRFToken": token, "Cookie": f"_xsrf={token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{lab.url}/api/sessions", json.dumps(asked).encode(), headers)
        session = json.load(urllib.request.urlopen(request, timeout=60))
        process = psutil.Process(lab.process.pid)
        own = memory.held(process)
        spent = process.cpu_times()
        return {"rss": own["rss"], "pss": own["pss"], "cpu_seconds": spent.user + spent.system,
                "kernel": session["kernel"]["name"]}
    finally:
        lab.close()


def computed(record: dict, minutes: int) -> dict:
    """Seats of a machine of MEMORY_GB and CORES, from what was measured; each with the largest kernel of the lesson.

    Args:
        record: with server, notebooks and at_once.
        minutes: of reading the lesson, as README gives them.

    Returns:
        unshared_GB, shared_GB and own_GB of a seat whose kernel is the largest of the lesson's; by_memory if each seat
        had everything for itself, by_memory_shared if libraries count once, by_cores, seats (the smaller of the last
        two), kernels_in_the_limit (so many of the largest fit LIMIT_GB), and what stands behind them.
    """
    largest = max(row["rss"] for row in record["notebooks"].values())
    most = max(record["at_once"], key=int)
    count, sums = int(most), record["at_once"][most]["together"]
    shared = (sums["rss"] - sums["pss"]) / (count - 1)  # what is shared counts count times in rss, and once in pss
    whole, own = largest + record["server"]["rss"], largest - shared + record["server"]["rss"]
    free = (MEMORY_GB - SYSTEM_GB) * 1e9
    seconds = {n: statistics.median(one["seconds"] for one in row["kernels"]) for n, row in record["at_once"].items()}
    loss = max(1.0, seconds[most] / seconds["1"] / (count / record["cores"]))
    spent = sum(row["cpu_seconds"] for row in record["notebooks"].values())
    found = {
        "unshared_GB": whole / 1e9, "shared_GB": shared / 1e9, "own_GB": own / 1e9,
        "by_memory": math.floor(free / whole), "by_memory_shared": math.floor((free - shared) / own),
        "slower_than_its_share": loss, "by_cores": math.floor(CORES / COMPUTING / loss),
        "lesson_cpu_seconds": spent, "lesson_minutes": minutes, "computing_on_average": spent / (60 * minutes),
        "all_at_once_times_as_long": CLASS / CORES * loss,
        "kernels_in_the_limit": math.floor((LIMIT_GB * 1e9 - shared - record["server"]["rss"]) / (largest - shared)),
    }
    found["seats"] = min(found["by_memory_shared"], found["by_cores"])
    return found | {"machines_for_the_class": math.ceil(CLASS / found["seats"])}


def reading() -> int:
    """Minutes of the whole lesson, from README's table."""
    return sum(int(n) for n in re.findall(r"^\| \[0\d [^|]*\|[^|]*\| (\d+) \|", (ROOT / "README.md").read_text(), re.M))


def block(record: dict) -> str:
    """The part of docs/class.md that follows from a record."""
    found, rows = computed(record, reading()), record["at_once"]
    titles = dict(re.findall(r"\[([^\]]+)\]\(notebooks/(\w+)\.ipynb\)", (ROOT / "README.md").read_text()))
    seats = {f"[{title}](../notebooks/{name}.ipynb)": record["notebooks"][name]
             for title, name in titles.items() if name in record["notebooks"]}
    seats["the Jupyter server of each student"] = record["server"]
    needs = [f"| {name} | {row['rss'] / 1e6:.0f} | {row['cpu_seconds']:.0f} |" for name, row in seats.items()]
    took = {n: statistics.median(one["seconds"] for one in row["kernels"]) for n, row in rows.items()}
    beside = [f"| {n} | {took[n]:.0f} | {took[n] / took['1']:.1f} | {row['together']['pss'] / 1e6:.0f} |"
              for n, row in rows.items()]
    free = f"{MEMORY_GB} − {SYSTEM_GB}"
    installed = ("the runtimes of `make devices`,\nwhich the image does not have, and without which 04 needs less"
                 if record["runtimes"] else "the packages of the image")
    return TEXT.format(
        installed=installed, percent=100 * COMPUTING, average=100 * found["computing_on_average"],
        **found, machine=record["provenance"]["machine"], needs="\n".join(needs), beside="\n".join(beside),
        number=record["at_once_of"][:2], two=record["cores"], free=free, memory=MEMORY_GB, cores=CORES,
        system=SYSTEM_GB, share=COMPUTING, people=CLASS, limit=LIMIT_GB, guarantee=math.ceil(found["own_GB"] * 10) / 10,
    )


TEXT = """\
Measured on {machine}, with one thread a kernel and {installed}:

| | MB at its peak | CPU seconds |
|---|---|---|
{needs}

| Kernels of {number} at once, on {two} cores | Seconds of each | Times as long | MB together, libraries once |
|---|---|---|---|
{beside}

**Computed** from that, for a machine of {memory} GB and {cores} cores, {system} GB of it for the system and the hub;
every student has one kernel, the largest of these, at its peak:

| Limit | Formula | Seats |
|---|---|---|
| memory, nothing shared | ({free}) / {unshared_GB:.2f} GB | {by_memory} |
| memory, libraries once | ({free} − {shared_GB:.2f}) / {own_GB:.2f} GB | {by_memory_shared} |
| cores, if {percent:.0f} % compute in the same moment | {cores} / {share} / {slower_than_its_share:.2f} | {by_cores} |
| **the machine** | the smaller of the last two | **{seats}** |
| machines for {people} students | {people} / {seats}, rounded up | {machines_for_the_class} |

The {percent:.0f} % are an assumption, for a room where each works at an own pace: the lesson takes
{lesson_cpu_seconds:.0f} CPU seconds in {lesson_minutes} minutes of reading, so a student computes
{average:.1f} % of the time. If {people} press Run in one moment on one such machine, a cell takes
{all_at_once_times_as_long:.3g} times as long. The limit of {limit:.0f} GB for a student holds the server and
{kernels_in_the_limit} of the largest kernels. The settings that follow, for Zero to JupyterHub:

```yaml
singleuser:
  memory: {{guarantee: {guarantee:.1f}G, limit: {limit:.0f}G}}
  cpu: {{guarantee: {share}, limit: 2}}
  extraEnv: {{OMP_NUM_THREADS: "1"}}
  cmd:
    - jupyterhub-singleuser
    - --MappingKernelManager.cull_idle_timeout=1800
    - --MappingKernelManager.cull_connected=True
  lifecycleHooks:
    postStart: {{exec: {{command: [sh, -c, "cp -rn /srv/kdlab /home/jovyan/"]}}}}
cull: {{enabled: true, timeout: 3600, every: 300}}
```"""


def newest() -> dict:
    """The record that docs/class.md follows."""
    records = [json.loads(path.read_text()) for path in ROOT.glob("results/seats-*.json")]
    return max(records, key=lambda record: record["provenance"]["date"])


def page(record: dict) -> None:
    """Writes what follows from the record into docs/class.md."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{block(record)}\n{END}{after}")


async def measured(short: bool, scratch: Path) -> dict:
    cores = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else [0, 1]
    notebooks, own = {}, {"05": {"output": str(scratch / "handover")}}
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        parameters = (SHORT[path.name[:2]] if short else {}) | own.get(path.name[:2], {})
        [notebooks[path.stem]] = (await at_once(path, parameters, 1))["kernels"]
        print(path.stem, {name: round(value) for name, value in notebooks[path.stem].items()}, flush=True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)  # and the kernels', which inherit it
    path, together = ROOT / "notebooks" / f"{SHORTER if short else AT_ONCE}.ipynb", {}
    for count in (1, 2) if short else (1, 2, 4):
        together[str(count)] = await at_once(path, SHORT[path.name[:2]] if short else {}, count)
        print(count, "at once:", [round(one["seconds"]) for one in together[str(count)]["kernels"]], flush=True)
    runtimes = bool(importlib.util.find_spec("openvino"))  # of the extra `devices`, which environment.yml leaves out
    return {"cores": len(cores), "threads_a_kernel": 1, "runtimes": runtimes, "notebooks": notebooks,
            "at_once_of": path.stem, "at_once": together}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="few steps and seeds, one and two kernels at once")
    parser.add_argument("--page", action="store_true", help="the newest record's figures into docs/class.md")
    given = parser.parse_args()
    if given.page:
        page(newest())
        return
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "KDLAB_CACHE": str(scratch / "cache")}
        (scratch / "lab").mkdir()
        found = {"server": server(scratch / "lab")} | asyncio.run(measured(given.short, scratch))
    import provenance  # and with it torch, which until here no process has had beside the kernels

    provenance.LOAD = load
    found["computed"] = computed(found, reading())
    print(json.dumps(found["computed"], indent=1))
    print(provenance.write("seats", found))


if __name__ == "__main__":
    main()
