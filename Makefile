# make demo         segment the lungs of a real chest CT
# make docs         build the documentation in site/, and check its links
# make test         lint, types, layers, documentation and every test, with the versions in requirements.lock
# make test-newest  every test with the newest versions that pyproject.toml allows
# make test-oldest  the same with the oldest ones
# make benchmark    measure again what the images at hand allow, and render the tables (hours)
# make tables       render the tables of docs/measurements.md from measurements.json
# make lock         renew requirements.lock
# make mutants      plant small faults in the library and list those that no test notices (hours)
# make format       format the code
# make clean        remove everything that was generated or downloaded

PYTHON ?= python3
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(SCRIPTS)
READY := .venv/.ready
DATA := .cache/sample
OUT := demo
MUTANTS := .cache/mutants
BENCHMARKS := $(BIN)/python Testing/Benchmarks
IMAGES ?= ../shared/data
SEEDS ?= 0
MEASURED := .cache/benchmark
# A process for each core. Whole files for each, as the tests of a file share what they make, and in
# their order: the stand-ins of the application come after the real scene.
PYTEST := -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help demo docs test test-newest test-oldest benchmark tables lock mutants format clean

help:
	@sed -n 's/^# //p' Makefile | sed -n '/^make/p'

# A new virtual environment in $(1).
define new_venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
  { echo "Python 3.10 or later is needed; choose one with 'make PYTHON=...'." >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
  { echo "Python's venv is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
$(PYTHON) -m venv --clear $(1)
endef

$(READY): pyproject.toml requirements.lock
	$(call new_venv,.venv)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	$(BIN)/s3net sample-data $(DATA)
	@mkdir -p $(OUT)
	$(BIN)/s3net segment $(DATA)/chest.nii.gz -o $(OUT)/lungs.seg.nrrd \
	  --clusters $(OUT)/clusters.nii.gz --overview $(OUT)/overview.png --json $(OUT)/result.json
	@$(BIN)/python Testing/Benchmarks/demo_dice.py $(OUT)/lungs.seg.nrrd $(DATA)/chest_structures.nii.gz

docs: $(READY)
	$(BIN)/mkdocs build --strict

test: docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python $(PYTEST)

# Both are made anew each time: what is newest depends on the day.
test-newest:
	$(call new_venv,.venv-newest)
	.venv-newest/$(SCRIPTS)/python -m pip install --quiet --editable '.[test,cluster,dicomseg]'
	.venv-newest/$(SCRIPTS)/python -m pip list
	.venv-newest/$(SCRIPTS)/python $(PYTEST)

# Without highdicom, which needs pydicom 3; Slicer 5.10 ships pydicom 2.4.
test-oldest:
	$(call new_venv,.venv-oldest)
	.venv-oldest/$(SCRIPTS)/python -m pip install --quiet uv
	.venv-oldest/$(SCRIPTS)/uv pip install --quiet --python .venv-oldest --resolution lowest-direct \
	  --editable '.[test,cluster]'
	.venv-oldest/$(SCRIPTS)/uv pip list --python .venv-oldest
	.venv-oldest/$(SCRIPTS)/python $(PYTEST)

# accuracy.py runs with the chest of sample-data alone where there are no images.
benchmark: $(READY)
	$(BIN)/s3net sample-data $(DATA)
	$(BENCHMARKS)/accuracy.py --data $(IMAGES) --sample $(DATA) --out $(MEASURED) --seeds $(SEEDS)
	$(BENCHMARKS)/accuracy.py --data $(IMAGES) --sample $(DATA) --out $(MEASURED) \
	  --groups CT --methods "s3net slice mode" "s3net border 0.7"
	$(BENCHMARKS)/accuracy.py --data $(IMAGES) --sample $(DATA) --out $(MEASURED) \
	  --groups PH2 Kaggle --methods paper "paper as coded" "whole picture" k-means
	$(BENCHMARKS)/summary.py $(MEASURED)
	[ ! -d $(IMAGES) ] || $(BENCHMARKS)/clicks.py --data $(IMAGES) --record
	$(BENCHMARKS)/tissues.py --record $(DATA)/chest.nii.gz $(wildcard \
	  $(IMAGES)/cip_copd/ct-64.nrrd $(IMAGES)/diseased/chest3d/medseg_1full.nii.gz)
	$(BENCHMARKS)/stages.py --sample $(DATA) --record
	$(BENCHMARKS)/speed.py --sample $(DATA) --output $(MEASURED) --record
	$(BIN)/python -m pip install --quiet lungmask dcm2niix
	$(BENCHMARKS)/beside_lungmask.py --sample $(DATA) --record
	-$(BENCHMARKS)/fuzz.py --out $(MEASURED)/fuzz --record
	-PATH="$(CURDIR)/$(BIN):$$PATH" $(BENCHMARKS)/dcm2niix.py --record
	$(MAKE) tables

tables: $(READY)
	$(BENCHMARKS)/tables.py

lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
	  --no-annotate --custom-compile-command 'make lock' \
	  --all-extras --output-file requirements.lock pyproject.toml

mutants: $(READY)
	$(BIN)/python -m pip install --quiet 'mutmut>=3.8,<3.9'
	@mkdir -p $(MUTANTS)
	@ln -sfn ../../S3NetSegmentation $(MUTANTS)/src
	@ln -sfn ../../Testing ../../pyproject.toml $(MUTANTS)
	cd $(MUTANTS) && OMP_NUM_THREADS=1 ../../$(BIN)/mutmut run $(ONLY)
	@cd $(MUTANTS) && ../../$(BIN)/mutmut results

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-newest .venv-oldest .cache $(OUT) build dist site
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	rm -rf S3NetSegmentation/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
