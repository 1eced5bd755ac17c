# make install : .venv with the msmorph command
# make demo    : a small BIDS dataset in demo/bids, participant and group level into demo/out
# make test-slurm : the demo on a Slurm of this machine alone (as root; minutes; needs Debian's slurmctld,
#                slurmd, slurm-client and munge)
# make test    : the tests (those on real data run where MSMORPH_TEST_DATA or ../shared/data is)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install demo test test-slurm lint clean

install: $(INSTALLED)

# torch goes first and by its exact version: a looser request pulls gigabytes of CUDA packages.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: $(INSTALLED)
	rm -rf demo
	$(BIN)/msmorph-demo demo/bids
	$(BIN)/msmorph demo/bids demo/out participant --tasks thalamus cord --work-dir demo/work \
		--derivatives truth=demo/bids/derivatives/truth
	$(BIN)/msmorph demo/bids demo/out group --work-dir demo/work
	$(BIN)/python -m bids_app.demo.compare demo/bids demo/out

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-slurm: $(INSTALLED)
	$(BIN)/python -m pytest -m slurm tests/cluster $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv demo
