"""The habits of the repository: what its workflows, hooks, forms, badges and citation name is there."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
PROGRAMS = {"lint-imports": "importlinter", "tee": "", "bash": ""}  # and the module that it comes with


def wrong(command):
    """What a shell command of a workflow or a hook names that is not here, or an empty text."""
    for part in command.split("|"):
        words = shlex.split(part)
        program, rest = words[0], words[1:]
        if program == "make":
            rest = [word for word in rest if "=" not in word]
            gone = [word for word in rest if not re.search(rf"^{re.escape(word)}(?= |:)", MAKEFILE, re.M)]
        elif program in ("python", ".venv/bin/python"):
            assert rest[0] == "-m", command
            gone = [] if importlib.util.find_spec(rest[1]) else [rest[1]]
            gone += [word for word in rest if word.startswith(("tests/", "notebooks/")) and not (ROOT / word).exists()]
            files = [after for word, after in zip(rest, rest[1:]) if word == "-c" and rest[1] == "pip"]
            gone += [name for name in files if not (ROOT / name).is_file()]
            extras = [name for word in rest for name in re.findall(r"^\.\[(.+)\]$", word)]
            gone += [name for name in extras if not set(name.split(",")) <= set(PROJECT["optional-dependencies"])]
        elif program in PROGRAMS:
            module = PROGRAMS[program]
            gone = [] if not module or importlib.util.find_spec(module) else [program]
            gone += [word for word in rest if program == "bash" and not (ROOT / word).is_file()]
        else:
            gone = [program]
        if gone:
            return f"not here: {gone[0]}, in: {command}"
    return ""


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"].values()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_whole_and_what_it_runs_is_here(path):
    flow = yaml.safe_load(path.read_text())
    assert flow["name"] == path.stem and flow[True] and flow["permissions"] == {"contents": "read"}  # YAML's on is True
    for job in jobs(path):
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))
            for line in filter(None, step.get("run", "").splitlines()):
                assert not wrong(line)
            cached = step.get("with", {}).get("cache-dependency-path", "").split()
            assert all((ROOT / name).is_file() for name in cached)


@pytest.mark.parametrize("command", [
    "make tests", "make test-quik", "bash .ci/gone", "python -m workbook.gone", "python -m pytest tests/gone",
    'python -m pip install -e ".[gone]"', "python -m pip install -c gone.txt -e .", "gone --all",
    "python -m ruff | gone",
])
def test_a_command_that_names_what_is_not_here_is_caught(command):
    assert wrong(command).startswith("not here: ")


def test_linux_macos_and_windows_each_have_a_run_on_a_cpu_without_make():
    [job] = jobs(ROOT / ".github" / "workflows" / "platforms.yml")
    assert job["strategy"]["matrix"]["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    assert "make" not in commands.split()
    assert all(part in commands for part in ("workbook.doctor", "tests/kdlab", "workbook.run notebooks/"))


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_the_weekly_run_installs_without_the_pins():
    [job] = jobs(ROOT / ".github" / "workflows" / "newest.yml")
    assert yaml.safe_load((ROOT / ".github" / "workflows" / "newest.yml").read_text())[True]["schedule"]
    shown = {}
    for pins in (job["env"]["CONSTRAINTS"], "constraints.txt"):
        command = ["make", "--dry-run", "--always-make", ".venv/installed"]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CONSTRAINTS": pins}
        shown[pins] = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    assert "-c constraints.txt" in shown["constraints.txt"] and "-c constraints.txt" not in shown[""]


def test_the_hooks_need_nothing_but_the_environment():
    [repo] = HOOKS["repos"]
    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        assert hook["language"] == "unsupported" and "additional_dependencies" not in hook  # nothing is installed
        assert not wrong(hook["entry"])
        if "files" in hook:
            listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
            assert not listed or any(re.search(hook["files"], name) for name in listed), hook["id"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_keeps_githubs_form(path):
    form = yaml.safe_load(path.read_text())
    assert set(form) == {"name", "description", "labels", "body"}
    ids = [part["id"] for part in form["body"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z-]+", name) for name in ids)
    for part in form["body"]:
        assert part["type"] in ("input", "textarea", "dropdown", "checkboxes") and part["attributes"]["label"]
        assert ("options" in part["attributes"]) == (part["type"] in ("dropdown", "checkboxes"))


def test_a_bug_and_a_figure_ask_for_the_doctors_output():
    for number in ("1", "2"):
        [path] = [path for path in FORMS if path.name.startswith(number)]
        [asked] = [part for part in yaml.safe_load(path.read_text())["body"] if part["id"] == "doctor"]
        assert asked["validations"]["required"]
        [module] = re.findall(r"`python -m ([\w.]+)`", asked["attributes"]["description"])
        assert importlib.util.find_spec(module)


# of schema 1.2.0: what a file may hold at its top, and of it what it must
KEYS = """abstract authors cff-version commit contact date-released doi identifiers keywords license license-url message
preferred-citation references repository repository-artifact repository-code title type url version""".split()


def test_the_citation_is_of_schema_1_2_0_and_agrees_with_the_project():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0" and set(cited) <= set(KEYS)
    assert {"authors", "cff-version", "message", "title"} <= set(cited)
    assert all(isinstance(cited[key], str) and cited[key].strip() for key in set(cited) - {"authors", "keywords"})
    assert cited["authors"] == [{"name": "The kdlab authors"}] and cited["type"] == "software"
    assert len(set(cited["keywords"])) == len(cited["keywords"]) and all(map(str.strip, cited["keywords"]))
    assert cited["version"] == PROJECT["version"] and cited["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 the kdlab authors\n")


def test_the_changelog_keeps_its_form():
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", text, re.M)
    assert text.startswith("# Changelog\n") and versions[0] == ("Unreleased", "")
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", v) and re.fullmatch(r"\d{4}-\d\d-\d\d", d) for v, d in versions[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Known gaps"}
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= kinds
    [others] = re.findall(r"`make lab`, (.*?);", text)
    targets = re.findall(r"\bmake ([a-z-]+)", text) + re.findall(r"`([a-z-]+)`", others)
    assert len(targets) > 7 and not [name for name in targets if wrong(f"make {name}")]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "NOTICE.md", ".github/pull_request_template.md"])
def test_what_these_pages_name_is_here(name):
    text = (ROOT / name).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:tests|docs|results|workbook|\.github)/[\w./]*)`", text)
    assert not [path for path in links + named if not (ROOT / path).exists()]
    assert not [said for said in re.findall(r"`(make [a-z-]+)", text) if wrong(said)]
    assert set(re.findall(r"-e \"?\.\[(\w+)\]", text)) <= set(PROJECT["optional-dependencies"])


@pytest.fixture(scope="module")
def badges():
    spec = importlib.util.spec_from_file_location("badges", ROOT / ".github" / "badges.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_badges_lead_to_files_of_this_repository(badges):
    found = badges.targets("owner/name")
    binder, colab = urlsplit(found["Binder"]), urlsplit(found["Colab"])
    assert binder.path == "/v2/gh/owner/name/main" and (ROOT / "environment.yml").is_file()  # Binder's image
    assert colab.path.startswith("/github/owner/name/blob/main/")
    opened = [parse_qs(binder.query)["labpath"][0], colab.path.split("/blob/main/")[1]]
    assert all((ROOT / path).is_file() and path.endswith(".ipynb") for path in opened)
    assert all(f"]({link})" in badges.badges("owner/name") for link in found.values())


@pytest.mark.parametrize("given", [(), ("name",), ("https://example.org/a/b",), ("a/b", "x y")])
def test_badges_without_an_address_say_how_to_give_one(given):
    done = subprocess.run([sys.executable, ROOT / ".github" / "badges.py", *given], capture_output=True, text=True)
    assert done.returncode and ("OWNER/NAME" in done.stderr or "branch" in done.stderr)
    assert "Traceback" not in done.stderr


def test_after_colabs_first_cell_the_notebook_stands_among_its_files_and_finds_its_packages(badges, tmp_path):
    clone, install, step, path = badges.colab("owner/name").splitlines()
    assert re.fullmatch(r"!git clone -q --depth 1 --branch main https://github.com/owner/name (/content/kdlab)", clone)
    assert install.startswith("%pip install -q -e /content/kdlab ")
    there = tmp_path / "content" / "kdlab"  # in place of the clone
    (there / "notebooks").mkdir(parents=True)
    for name in ("kdlab", "workbook"):
        shutil.copytree(ROOT / name, there / name, ignore=shutil.ignore_patterns("__pycache__"))
    folder = step.removeprefix("%cd ").replace("/content", str(there.parent))
    code = path.replace("/content", str(there.parent))
    code += "\nimport kdlab, workbook; print(kdlab.__file__, workbook.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(there / name / "__init__.py") for name in ("kdlab", "workbook")]


def git(folder, *words):
    done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_git_shows_a_notebook_by_its_cells_once_nbdime_is_switched_on(tmp_path):
    pytest.importorskip("nbdime", reason="nbdime is not installed: pip install -e .[dev]")
    from nbformat.v4 import new_code_cell, new_notebook

    def save(source, count):
        cell = new_code_cell(source, id="a", execution_count=count)
        (tmp_path / "a.ipynb").write_text(json.dumps(new_notebook(cells=[cell]), indent=1))

    for name in (".gitattributes", "nbdime_config.json"):
        shutil.copy(ROOT / name, tmp_path)
    save("alpha = 1", 1)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    save("alpha = 2", 2)
    assert '"execution_count": 2' in git(tmp_path, "diff")  # as text, where nobody switched it on
    driver = f'"{sys.executable}" -m nbdime.vcs.git.diffdriver diff'
    shown = git(tmp_path, "-c", f"diff.jupyternotebook.command={driver}", "diff", "--no-color")
    assert "nbdiff" in shown and "execution_count" not in shown and "alpha = 2" in shown
