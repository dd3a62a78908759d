# The workbook's commands. Each runs lines that you could type yourself; `make` alone lists them.
# Without make (Windows): python -m venv .venv, .venv\Scripts\activate, pip install -c constraints.txt -e .[test]

# Python 3.11 or newer that makes .venv:  make lab PYTHON=python3.12
PYTHON ?= python3
# the tested versions; empty takes the newest that pyproject.toml allows:  make clean lab CONSTRAINTS=
CONSTRAINTS ?= constraints.txt
# where torch and torchvision come from when .venv is made:  make clean lab TORCH_INDEX=...
#   auto   Linux without an NVIDIA driver: PyTorch's CPU wheels, PyPI where that index is not reached; else PyPI
#   pypi   PyPI's build (on Linux with CUDA, 2.7 GB)
#   a URL  that index, for instance https://download.pytorch.org/whl/cu128
TORCH_INDEX ?= auto
# handed on to the command:  make lab ARGS="--no-browser --port 9999"    make run ARGS="notebooks/03_distil_a_student.ipynb -p seed 1"
ARGS ?=
# the extras of pyproject.toml that come with .venv:  make clean test EXTRAS=test,devices
EXTRAS ?= test

VENV := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PIP := $(VENV)/python -m pip --disable-pip-version-check install $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
# Both in one command, from that index and nowhere else: a torch from here with a torchvision from there does not
# import. Their dependencies follow from PyPI, because PyTorch's indexes hold old copies of them.
TORCH := PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= PIP_EXTRA_INDEX_URL= $(PIP) --no-deps torch torchvision --index-url
VENV6 := $(subst .venv,.venv-ipykernel6,$(VENV))
VENVL := $(subst .venv,.venv-litert,$(VENV))
# from the last to the first: the short ones of the lesson come at the end, so that two workers end together
NOTEBOOKS ?= $(shell ls -r notebooks/*.ipynb)
# Two workers, where a process that crashes ends the run and names its test (xdist 3.8 may wait for ever for the one that
# replaces it).
PYTEST := $(VENV)/python -m pytest
TWO := -n 2 --max-worker-restart 0
UNIT := $(PYTEST) $(TWO) --dist loadfile --no-loadscope-reorder tests --ignore tests/browser --ignore tests/workbook/runtimes
# the steps of `make test`, each a target of its own; what is cheap and tells most comes first
STEPS := test-lint test-unit test-browser test-runtimes test-parameters test-outputs

.PHONY: help lab run test test-quick $(STEPS) test-ipykernel6 scale federated student instructor slides book playground badges \
	dashboard demo devices litert bench outputs clean


help:     ## list these commands
	@sed -n 's/^\([a-z0-9-]*\): .*## /make \1	/p' Makefile

lab: .venv/installed     ## install into .venv if need be, and open JupyterLab on the lesson
	$(VENV)/python -m jupyterlab --ServerApp.root_dir=. --ServerApp.jpserver_extensions=workbook.early=True notebooks/00_start_here.ipynb $(ARGS)

run: .venv/installed     ## run the whole workbook without a browser; pages and executed copies in build/
	$(VENV)/python -m workbook.run $(ARGS)

test: .venv/installed     ## run all tests, then every notebook twice: with other parameters, and against its committed outputs
	@for step in $(STEPS); do \
		begun=$$(date +%s); $(MAKE) --no-print-directory $$step; status=$$?; \
		echo "=== $$step: $$(($$(date +%s) - begun)) s"; [ $$status = 0 ] || exit $$status; \
	done

test-quick: test-lint     ## while editing, under three minutes: no browser, runtimes or notebooks, and nothing slow
	$(UNIT) -m "not slow"

test-lint: .venv/installed
	$(VENV)/python -m ruff check .
	$(VENV)/lint-imports

test-unit: .venv/installed
	$(UNIT) --ignore tests/notebooks/test_papermill.py --ignore tests/notebooks/test_canary.py

# the files of a worker share one JupyterLab
test-browser: .venv/installed
	$(PYTEST) $(TWO) --dist loadfile tests/browser

# in processes of their own: after the other tests' libraries in one process they have crashed it
test-runtimes: .venv/installed
	$(PYTEST) $(TWO) --dist loadfile tests/workbook/runtimes

# one by one to the two workers, because a few of them take long
test-parameters: .venv/installed
	$(PYTEST) $(TWO) --dist load --maxschedchunk 1 tests/notebooks/test_papermill.py tests/notebooks/test_canary.py

test-outputs: .venv/installed
	TQDM_DISABLE=1 PYTHONPATH=tests/helpers $(PYTEST) -p kernels $(TWO) --dist loadscope --no-loadscope-reorder --nbval --nbval-current-env --nbval-sanitize-with tests/notebooks/sanitize.cfg $(NOTEBOOKS)

test-ipykernel6: .venv-ipykernel6/installed     ## the steering tests on ipykernel 6.31, in .venv-ipykernel6 beside .venv
	$(VENV6)/python -m pytest tests/workbook/panels/test_kernel.py tests/workbook/panels/test_training.py

dashboard: .venv/installed     ## the panels of 02, 03 and 04 for a lecture, without code (voila); the first picture takes a minute
	$(PIP) -e '.[dashboard]'
	TQDM_DISABLE=1 $(VENV)/python -m voila notebooks --ExecutePreprocessor.timeout=600 $(ARGS)

bench: .venv/installed     ## all benchmarks in a short form, and one table of ratios; under ten minutes on two cores
	$(PIP) -e '.[bench]'
	$(VENV)/python benchmarks/bench.py $(ARGS)

devices: .venv/installed     ## install the runtimes (1.5 GB) and run the labs 12 to 16 with them, without a browser
	$(PIP) -e '.[devices]'
	$(VENV)/python -m workbook.run $(wildcard notebooks/1[2-6]_*.ipynb) $(ARGS)

litert: .venv/installed     ## LiteRT's converter in .venv-litert beside .venv, because it needs an older torch (5 GB)
	$(VENV)/python -m venv .venv-litert
	$(VENVL)/python -m pip --disable-pip-version-check install 'litert-torch==0.10.*'

scale: .venv/installed .venv-federated/installed     ## install Dask, Optuna and the trackers, Flower beside them, and run the labs 30 to 32, without a browser
	$(PIP) -e '.[scale,tracking]'
	$(VENV)/python -m workbook.run $(wildcard notebooks/3[0-2]_*.ipynb) $(ARGS)

federated: .venv-federated/installed     ## Flower in .venv-federated beside .venv, because it pins older packages (130 MB), and the tests over it
	$(PYTEST) tests/workbook/scale/test_federated.py

student: .venv/installed     ## the notebooks without solutions and lecturer's notes: build/student
	$(VENV)/python -m workbook.copies student $(ARGS)

instructor: .venv/installed     ## the notebooks with times, notes and pitfalls gathered: build/instructor
	$(VENV)/python -m workbook.copies instructor $(ARGS)

slides: .venv/installed     ## decks of the lesson, which need no network: build/slides/index.html
	$(PIP) -e '.[slides]'
	$(VENV)/python -m workbook.decks $(ARGS)

book: .venv/installed     ## the whole workbook as a site, which needs no network: build/book/index.html
	$(PIP) -e '.[book]'
	$(VENV)/python book/build.py $(ARGS)

playground: .venv/installed     ## a page in which the student trains, for any browser: build/playground/index.html
	$(VENV)/python demo/playground/build.py $(ARGS)

badges:     ## badges that open your copy on Binder and Colab: make badges REPOSITORY=OWNER/NAME
	@$(PYTHON) .github/badges.py $(REPOSITORY)

demo: .venv/installed     ## one page with teacher and student for any browser: build/demo/index.html, which needs no network
	$(PIP) -e '.[demo]'
	$(VENV)/python demo/build.py $(ARGS)

outputs: .venv/installed     ## for maintainers: execute the notebooks in place, so that they can be committed
	$(VENV)/python -m workbook.run --in-place $(ARGS)

clean:     ## remove .venv, build/ and the caches
	rm -rf .venv .venv-ipykernel6 .venv-federated .venv-litert build kdlab.egg-info .pytest_cache .hypothesis .ruff_cache .import_linter_cache notebooks/.ipynb_checkpoints notebooks/zh/.ipynb_checkpoints

.venv/installed: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "kdlab needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1); name another: make lab PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@case "$(TORCH_INDEX)" in \
	pypi) ;; \
	auto) if [ "$$(uname -s)" = Linux ] && ! nvidia-smi -L >/dev/null 2>&1; then \
		echo "No NVIDIA driver here: trying PyTorch's CPU wheels."; \
		$(TORCH) https://download.pytorch.org/whl/cpu --retries 0 --timeout 10 2>/dev/null \
		|| echo "They could not be had: taking PyPI's larger build, which also runs on a CPU."; fi ;; \
	*) $(TORCH) "$(TORCH_INDEX)" ;; \
	esac
	$(PIP) -e '.[$(EXTRAS)]'
	mkdir -p .venv/etc/jupyter && cp -R workbook/jupyter/. .venv/etc/jupyter/
	$(VENV)/python -m workbook.doctor
	touch $@

# Over the packages of .venv, what collides with them: what is not found in the one is taken from the other. An older
# ipykernel; Flower and what it pins, without Ray, which only its simulations need.
.venv-ipykernel6/installed: BESIDE := ipykernel==6.31.*
.venv-federated/installed: BESIDE = $(shell sed -n 's/^federated = \["\(.*\)"\]/\1/p' pyproject.toml)
.venv-ipykernel6/installed .venv-federated/installed: .venv-%/installed: .venv/installed
	$(VENV)/python -m venv .venv-$*
	$(VENV)/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" > beside.pth
	mv beside.pth "$$($(subst .venv,.venv-$*,$(VENV))/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")"
	$(subst .venv,.venv-$*,$(VENV))/python -m pip --disable-pip-version-check install '$(BESIDE)'
	touch $@
