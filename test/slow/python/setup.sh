#!/usr/bin/env bash
# Makes a virtual environment with PyTorch and transformers for the slow suite's comparisons: setup.sh FOLDER
# Then: PIPE_TEST_PYTHON=FOLDER/bin/python npm run test:slow
# PyTorch's wheel on PyPI wants CUDA's libraries to be imported at all, even on a machine without a GPU; the compiler Triton
# (1 GB unpacked) it does not, so it is left out.
set -eu
folder="$1"
[ -e "$folder/ready" ] && exit 0
python3 -m venv "$folder"
pip=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile)
"${pip[@]}" --no-deps torch
mapfile -t needed < <("$folder/bin/python" - <<'PYTHON'
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement
for requirement in map(Requirement, requires('torch')):
    if requirement.name in ('triton', 'cuda-bindings'): continue
    if requirement.marker is None or requirement.marker.evaluate({'extra': ''}):
        requirement.marker = None
        print(requirement)
PYTHON
)
"${pip[@]}" "${needed[@]}" transformers safetensors numpy
"$folder/bin/python" -c 'import torch, transformers, safetensors.torch; from transformers import CLIPModel'
touch "$folder/ready"
