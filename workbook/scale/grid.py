"""A grid of notebooks on Dask: a run for each combination of parameters, and a table with a row for each run.

    python -m workbook.scale.grid grid.yaml [--scheduler ADDRESS | --workers N] [--out FOLDER] [--again]

Dask places the runs, and gives those of a lost worker to another one. What the file says is left to `runs`, a run to
`executed`, what is drawn from the table to `summary`, all beside this; docs/grid.md is for whoever uses it.
"""

import argparse
import collections
import logging
import sys
from pathlib import Path

import dask
import distributed
import locket
import pandas
import tqdm

from workbook.scale import executed, runs, summary

# What each local worker runs first: Ctrl-C reaches all processes of a terminal, and the client alone answers it.
QUIET = """import logging, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed").setLevel(logging.ERROR)"""

PATIENCE = 10  # seconds in which a scheduler must answer


def run(id: str, *what) -> dict:
    """On a worker: `executed.execute`, which tells the client of each start of a kernel."""
    worker = distributed.get_worker()
    return {"worker": worker.address} | executed.execute(*what, lambda: worker.log_event("grid", id))


def collect(asked: dict[str, runs.Run], client: distributed.Client, out: Path, rows: dict[str, dict]) -> None:
    """Runs what has no row yet; as soon as a run is done its executed copy is written, and the table with its row."""
    from kdlab import files  # it loads torch, which the processes of a local cluster need not

    starts, futures = collections.Counter(), {}
    client.subscribe_topic("grid", lambda event: starts.update(event[1:]))
    for one in (one for one in asked.values() if one.id not in rows):
        futures[client.submit(run, one.id, one.notebook, one.values, one.files, key=f"grid-{one.id}")] = one
    with tqdm.tqdm(asked, f"{len(client.nthreads())} workers", initial=len(rows), unit="run", smoothing=0) as bar:
        for future in distributed.as_completed(list(futures)):
            one = futures.pop(future)
            try:
                done = future.result()
                status = "failed" if done["traceback"] else "passed"
            except Exception as error:  # Dask's own: several workers are gone with this run, or the scheduler is
                status, done = "lost", dict(worker="", took_seconds="", said="", traceback=str(error))
            copy, recorded, retries = done.pop("copy", ""), done.pop("recorded", {}), max(starts[one.id] - 1, 0)
            row = dict(run=one.id, notebook=one.notebook, **one.values, status=status, retries=retries, **done)
            rows[one.id] = row | {name: value for name, value in recorded.items() if name not in row}
            table = pandas.DataFrame([rows[id] for id in asked if id in rows], dtype=object).to_csv(index=False)
            with files.unbroken():
                if copy:
                    files.write_whole("executed copy", out / "runs" / f"{one.id}.ipynb", copy.encode())
                files.write_whole("table", out / "results.csv", table.encode())
            future.release()
            bar.update()


def earlier(asked: dict[str, runs.Run], out: Path, again: bool) -> dict[str, dict]:
    """The rows of an earlier start that need not run again. ValueError: the folder is another grid's."""
    table = out / "results.csv"
    rows = pandas.read_csv(table, dtype=str, keep_default_na=False).to_dict("records") if table.is_file() else []
    if strange := [row for row in rows if row.get("run") not in asked]:
        said = f"{len(strange)} of the {len(rows)} runs in {out} are not of this grid as it is now"
        raise ValueError(f"{said}: name another folder with --out")
    return {row["run"]: row for row in rows if row["status"] in ("passed", "" if again else "failed")}


def connect(address: str | None, workers: int | None) -> distributed.Client:
    """A client of the scheduler at an address, or of local processes that end with it. ValueError: none answers."""
    try:
        if address:
            return distributed.Client(address, timeout=PATIENCE)
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"})  # 15 s give up one that is slow to come back
        local = dict(threads_per_worker=1, memory_limit=0, dashboard_address=":0", preload=QUIET)
        return distributed.Client(n_workers=workers, **local)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {error}") from None


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 where every run passed, 1 where one did not or nothing could be run, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scheduler", help="address of a Dask scheduler; without it a cluster of local processes runs")
    where.add_argument("--workers", type=int, help="how many local processes; without it one for each core")
    parser.add_argument("--out", type=Path, help="folder of the results; build/ and the file's name without it")
    parser.add_argument("--again", action="store_true", help="what has failed runs again")
    given = parser.parse_args(argv)
    out, asked, rows = given.out or Path("build") / given.grid.stem, {}, {}
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the table tells what is lost
    try:
        if given.workers is not None and given.workers < 1:
            raise ValueError(f"--workers must be >= 1, got {given.workers}")
        asked = runs.read(given.grid)
        rows = earlier(asked, out, given.again)
        if len(rows) < len(asked):
            with connect(given.scheduler, given.workers) as client:
                out.mkdir(parents=True, exist_ok=True)
                with locket.lock_file(str(out / ".lock"), timeout=0):
                    rows |= earlier(asked, out, given.again)
                    collect(asked, client, out, rows)
        summary.write(out)
    except (ValueError, OSError, locket.LockError) as error:
        sys.exit(f"another start writes to {out}" if isinstance(error, locket.LockError) else str(error))
    except KeyboardInterrupt:
        print(f"stopped; {len(rows)} of {len(asked)} runs are in {out}, the same command goes on", file=sys.stderr)
        return 130
    count = collections.Counter(row["status"] for row in rows.values())
    print(", ".join(f"{count[status]} {status}" for status in count), f"· {out / 'summary.ipynb'}")
    return 0 if set(count) == {"passed"} else 1


if __name__ == "__main__":
    sys.exit(main())
