# make demo    segment the lungs of a real chest CT
# make test    lint and every test
# make format  format the code
# make clean   remove everything that was generated or downloaded

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DATA := .cache/sample
OUT := demo

.PHONY: help demo test format clean

help:
	@sed -n 's/^# //p' Makefile

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or later is needed; name one by 'make PYTHON=...'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

demo: $(READY)
	$(BIN)/s3net sample-data $(DATA)
	@mkdir -p $(OUT)
	$(BIN)/s3net segment $(DATA)/chest.nii.gz -o $(OUT)/lungs.seg.nrrd \
	  --clusters $(OUT)/clusters.nii.gz --overview $(OUT)/overview.png --json $(OUT)/result.json
	@$(BIN)/python Testing/Benchmarks/demo_dice.py $(OUT)/lungs.seg.nrrd $(DATA)/chest_structures.nii.gz

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .cache $(OUT) build dist .pytest_cache .ruff_cache .hypothesis
	rm -rf S3NetSegmentation/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
