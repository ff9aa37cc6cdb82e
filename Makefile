# Two commands set everything up: `make demo` and `make test`. Each makes its own virtual environment.
PYTHON ?= python3
DEMO := .venv-demo
VENV := .venv
AUDIO ?= examples/sample_female.flac examples/sample_male.flac
OUT ?= demo
# LibriSpeech-style folders for training and for the tests that need real speech; tests that miss it say so and skip.
VOXFACE_SHARED ?= ../shared/data
export VOXFACE_SHARED

.PHONY: help demo test test-fast fuzz test-cpus test-cpus-quick coverage lint types system-packages bench default-bundle docs site \
  lock dist tag clean

help:
	@echo "make demo [AUDIO=my.flac]   faces and meshes from speech, with the light runtime only"
	@echo "make test                   everything that can run on this machine"
	@echo "make test-fast              the tests that take seconds, in under two minutes"
	@echo "make test-cpus              the tests of learning as older processors compute them, and with other seeds"
	@echo "make test-cpus-quick        a few of them in two such variations, in about a minute"
	@echo "make fuzz                   thousands of hostile files, and random kills; prints its seed"
	@echo "make coverage               which lines the fast tests run, of every file of the package"
	@echo "make bench                  measure speed; results go to benchmarks/results"
	@echo "make site                   the pages of docs/ as a site, in site/"
	@echo "make lock, dist, tag        what makes a release, see docs/releasing.md"
	@echo "make default-bundle         train and export the default bundle again (needs speech, see docs/training.md)"

# Locked packages are checked against their hashes. Then voxface itself: it takes nothing from an index any more. Before 0.3.0 the
# distribution was called voxface.
install = $(1)/bin/python -m pip uninstall --quiet --yes voxface && \
  $(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .

$(DEMO)/.ready: pyproject.toml requirements/demo.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "voxface needs Python 3.11 to 3.13; use: make demo PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --upgrade pip
	$(DEMO)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement requirements/demo.lock
	@$(call install,$(DEMO))
	@touch $@

# AUDIO is one name if a file has it, spaces and quotes and all; else it is read as a shell reads words, but nothing in it is
# run. Through the environment, so that no shell and no make takes it apart before.
unexport AUDIO OUT  # or make would expand them once more
export DEMO_AUDIO := $(value AUDIO)
export DEMO_OUT := $(value OUT)
define DEMO_PROGRAM
import glob, os, shlex, subprocess, sys
audio, out = os.environ["DEMO_AUDIO"], os.environ["DEMO_OUT"]
try:
    words = shlex.split(audio)
except ValueError:
    words = []
names = [n for w in words for n in ([w] if os.path.exists(w) else sorted(glob.glob(w)) or [w])]
if os.path.exists(audio) or not any(map(os.path.exists, names)):
    names = [audio]
command = [sys.argv[1], "run", *(os.path.join(".", n) if n.startswith("-") else n for n in names), "--out", out, "--force"]
print(shlex.join(command), flush=True)
code = subprocess.run(command).returncode
if code == 0:
    page = os.path.join(out, "report.html")
    print(f"\nFaces, meshes (GLB, PLY, OBJ) and pictures are in {out}/; open {page} in a browser.")
sys.exit(code)
endef
export DEMO_PROGRAM
demo: $(DEMO)/.ready
	@$(DEMO)/bin/python -c "$$DEMO_PROGRAM" $(DEMO)/bin/voxface

# Every package the tests need. torch is in no lock (release/lock.py says why), it comes from the pinned constraint; what it needs
# is there already.
$(VENV)/.ready: pyproject.toml constraints.txt requirements/test.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "voxface needs Python 3.11 to 3.13; use: make test PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement requirements/test.lock
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt torch
	@$(call install,$(VENV))
	@touch $@

# Libraries Open3D links to and software rendering; PortAudio and a sound server for the virtual microphone; a display.
# Installed where that is allowed (Debian, root); elsewhere the tests say what they miss.
DEBIAN := libasound2-plugins libegl1 libgl1 libgomp1 libidn2-0 libportaudio2 libudev1 libusb-1.0-0 libx11-6 pulseaudio pulseaudio-utils strace \
  libegl-mesa0 libgl1-mesa-dri xvfb ffmpeg chromium zsh fish
system-packages:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  missing=$$(for p in $(DEBIAN); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	  if [ -n "$$missing" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq -y --no-install-recommends $$missing >/dev/null; fi; \
	else echo "not installing system packages here; tests that miss one of '$(DEBIAN)' will say so"; fi

# The Khronos validator of glTF; where npm is missing, the tests that run it say so.
GLTF := tests/gltf/node_modules/.ready
$(GLTF): tests/gltf/package.json tests/gltf/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests/gltf --silent --no-audit --no-fund && touch $@; \
	else echo "npm is not here; tests of meshes by the Khronos validator will say so"; fi

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/codespell
types: $(VENV)/.ready
	$(VENV)/bin/mypy --strict -p voxface

# For two cores. A third worker computes while the others wait: for a microphone, a page, a process that is to be killed. Each
# computes on one thread, since threads of several workers would wait for one another; `test-cpus` tries more. What is compiled
# is kept, whatever the environment says: hundreds of tests start a process. Neighbours stay together and share their fixtures.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 3 --dist worksteal
test: system-packages $(VENV)/.ready $(GLTF) lint types
	$(PYTEST) --durations=8

test-fast: $(VENV)/.ready $(GLTF)
	$(PYTEST) -m "not slow"

# What a test says of learning must hold however the processor rounds.
test-cpus: $(VENV)/.ready
	$(VENV)/bin/python -m tests.cpu_variations

test-cpus-quick: $(VENV)/.ready
	$(VENV)/bin/python -m tests.cpu_variations --quick

fuzz: $(VENV)/.ready
	$(VENV)/bin/python -m tests.fuzz

# In one process: the tests' own workers are not measured, the commands they start are.
coverage: $(VENV)/.ready
	$(VENV)/bin/python -m coverage erase
	$(VENV)/bin/python -m coverage run -m pytest -m "not slow"; tests=$$?; \
	  $(VENV)/bin/python -m coverage combine --quiet && $(VENV)/bin/python -m coverage report; exit $$tests

# What speed is compared with; no test needs it.
$(VENV)/.bench: $(VENV)/.ready
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	@touch $@

bench: $(VENV)/.bench
	$(VENV)/bin/python -m benchmarks.roofline
	$(VENV)/bin/python -m benchmarks.update
	$(VENV)/bin/python -m benchmarks.picture_size
	$(VENV)/bin/python -m benchmarks.front_end
	$(VENV)/bin/python -m benchmarks.first_face
	$(VENV)/bin/python -m benchmarks.memory
	$(VENV)/bin/python -m benchmarks.streams
	$(VENV)/bin/python -m benchmarks.serving
	$(VENV)/bin/python -m benchmarks.live_replicas
	$(VENV)/bin/python -m benchmarks.librispeech
	$(VENV)/bin/python -m benchmarks.faces
	$(VENV)/bin/python -m benchmarks.fitting
	$(VENV)/bin/python -m benchmarks.ict_import
	$(VENV)/bin/python -m benchmarks.incremental
	$(VENV)/bin/python -m benchmarks.image_reuse
	$(VENV)/bin/python -m benchmarks.int8
	$(VENV)/bin/python -m benchmarks.engines
	$(VENV)/bin/python -m benchmarks.pareto
	$(VENV)/bin/python -m benchmarks.profile
	$(VENV)/bin/python -m benchmarks.no_face
	$(VENV)/bin/python -m benchmarks.speaker_change
	$(VENV)/bin/python -m benchmarks.live_window
	$(VENV)/bin/python -m benchmarks.live_soak --record
	$(VENV)/bin/python -m benchmarks.render_tables

# Nothing is fetched, and a warning is an error.
site: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

$(VENV)/.release: $(VENV)/.ready
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt uv
	@touch $@

lock: $(VENV)/.release
	$(VENV)/bin/python -m release.lock

dist: $(VENV)/.ready
	rm -rf dist build
	$(VENV)/bin/python -m release.build
	$(VENV)/bin/python -m twine check --strict dist/*.whl dist/*.tar.gz
	$(VENV)/bin/python -m release.sbom --out dist/sbom.json

tag: $(VENV)/.ready
	$(VENV)/bin/python -m release.tag

docs: $(VENV)/.ready
	$(VENV)/bin/python docs/make_live_pictures.py
	$(VENV)/bin/python -m benchmarks.render_tables

# Steps that are done are not done again; a training that was stopped goes on from its last checkpoint.
RUNS := artifacts/default
SPEECH := $(VOXFACE_SHARED)/speech/librispeech
MANY := $(VOXFACE_SHARED)/speech/many
VOXFACE = $(VENV)/bin/voxface
default-bundle: system-packages $(VENV)/.ready
	mkdir -p $(RUNS)
	test -f $(RUNS)/embedded.npz || $(VENV)/bin/python -m voxface.training.faces.embedded \
	  --out $(RUNS)/embedded.npz --population-out $(RUNS)/population.npz
	test -d $(RUNS)/people || $(VOXFACE) data prepare --speech $(SPEECH) $(MANY) --speeds 1 --pictures 1 --noise $(VOXFACE_SHARED)/noise \
	  --rooms $(VOXFACE_SHARED)/rir --faces $(RUNS)/embedded.npz --population $(RUNS)/population.npz \
	  --out $(RUNS)/people
	$(VENV)/bin/python -c 'import importlib.util as u; raise SystemExit(u.find_spec("resemblyzer") is None)' || \
	  $(VENV)/bin/python -m pip install --quiet --no-deps resemblyzer==0.1.4
	test -d $(RUNS)/voices || $(VOXFACE) data voices --speech $(SPEECH) $(MANY) --noise $(VOXFACE_SHARED)/noise \
	  --rooms $(VOXFACE_SHARED)/rir --out $(RUNS)/voices
	$(VOXFACE) train voice-encoder --resume --data $(RUNS)/voices --out $(RUNS)/encoder
	$(VOXFACE) train mesh --resume --data $(RUNS)/people --encoder $(RUNS)/encoder --set target=expected \
	  --out $(RUNS)/mesh
	$(VOXFACE) train portrait --resume --data $(RUNS)/people --encoder $(RUNS)/encoder --mesh $(RUNS)/mesh \
	  --out $(RUNS)/portrait
	$(VOXFACE) export $(RUNS)/encoder $(RUNS)/mesh $(RUNS)/portrait --force --storage float16 --name voxface-default \
	  --version 0.3.1 --description "It shows the mean face of all people with such a voice (sex, and a little size), \
	not the speaker's." --out $(RUNS)/exported
	$(VENV)/bin/python -m voxface.training.trainers.speech_modulation --speech $(SPEECH) \
	  --room $(VOXFACE_SHARED)/rir/rir1.wav --bundle $(RUNS)/exported --force --out $(RUNS)/with-speech-modulation
	$(VENV)/bin/python -m voxface.training.trainers.age --voices $(RUNS)/voices \
	  --bundle $(RUNS)/with-speech-modulation --force --out $(RUNS)/with-age
	$(VENV)/bin/python -m voxface.training.trainers.speaker_change --voices $(RUNS)/voices --speech $(SPEECH) $(MANY) \
	  --threshold 1 --bundle $(RUNS)/with-age --force --out src/voxface/runtime/bundle/default

clean:
	rm -rf $(DEMO) $(VENV) tests/gltf/node_modules demo artifacts .mypy_cache .pytest_cache .ruff_cache .hypothesis
