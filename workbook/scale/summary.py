"""A notebook that sums up a grid's table: how the runs ended, what failed and why, and what was recorded.

Its cells need pandas and matplotlib alone, so that it can be sent on with the table, and changed. The table is
workbook/scale/grid.py's.
"""

from pathlib import Path

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes

from workbook.scale import executed

TITLE = """# Summary of a grid

`results.csv` beside this notebook has a row for each run, and `runs/ID.ipynb` is the executed copy of the run with that
id. Between `notebook` and `status` stand the parameters, behind `traceback` what the notebooks recorded."""

READ = """import matplotlib.pyplot as plt
import pandas as pd

table = pd.read_csv("results.csv", dtype={"run": str})
names = list(table.columns)
parameters = names[1:names.index("status")]
varied = [name for name in parameters if table[name].nunique() > 1]
seconds, ends = table["took_seconds"], table["status"].value_counts()
print(f"{len(table)} runs:", ", ".join(f"{count} {status}" for status, count in ends.items()))
print(f"{seconds.median():.1f} s each (median), {seconds.sum():.0f} s in all;",
      f"{table['retries'].sum():.0f} times a run was begun again")"""

FAILED = """failed = table[table["status"] != "passed"]
for _, row in failed.iterrows():
    which = ", ".join(f"{name} = {row[name]}" for name in varied or parameters)
    print(f"■ {which} · {row['status']} · runs/{row['run']}.ipynb")
    print("\\n".join(str(row["traceback"]).strip().splitlines()[-12:]), "\\n")
if failed.empty:
    print("Nothing.")"""

MEANS = """passed = table[table["status"] == "passed"]
behind = passed[names[names.index("traceback") + 1:]]
recorded = list(behind.select_dtypes(["number", "bool"])) or ["took_seconds"]
knobs = [name for name in varied if name != "seed"] or varied or ["notebook"]
numbers = list(passed[knobs].select_dtypes("number"))
along = max(numbers or knobs, key=lambda name: passed[name].nunique())  # what the axis shows
beside = [name for name in knobs if name != along]  # what a line each is drawn for
passed.astype(dict.fromkeys(recorded, float)).pivot_table(recorded, along, beside or None).round(3)"""

DRAWN = """plt.style.use("tableau-colorblind10")
for column in recorded[:6]:
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for values, part in passed.groupby(beside) if beside else [((), passed)]:
        label = ", ".join(f"{name} = {value}" for name, value in zip(beside, values))
        mean = part.groupby(along)[column].mean()
        [line] = axes.plot(mean.index, mean, "o-", label=label)
        axes.plot(part[along], part[column], ".", color=line.get_color(), alpha=0.5)
    axes.set(xlabel=along, ylabel=column, title=f"{column}: a small dot a run, lines through the means")
    if beside and len(passed):
        axes.legend(fontsize=8)
    plt.show()"""

FAULTS, MEAN = "## What did not pass", "## Means of what was recorded, over the runs that passed"
CELLS = ((TITLE, READ), (FAULTS, FAILED), (MEAN, MEANS), (None, DRAWN))


def write(folder: Path) -> None:
    """Writes FOLDER/summary.ipynb from FOLDER/results.csv. ValueError: one of its cells failed."""
    from kdlab.files import write_whole  # it loads torch

    cells = [cell for text, code in CELLS for cell in (text and new_markdown_cell(text), new_code_cell(code)) if cell]
    notebook, table = writes(new_notebook(cells=cells)), (folder / "results.csv").read_bytes()
    done = executed.execute("summary.ipynb", {}, {"summary.ipynb": notebook.encode(), "results.csv": table})
    if done["traceback"]:
        raise ValueError(f"no summary could be made of {folder}: {done['traceback']}")
    write_whole("summary", folder / "summary.ipynb", done["copy"].encode())
