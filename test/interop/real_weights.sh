#!/bin/bash
# Turns the authors' LKU-Net weights into safetensors with the Python of LibTorch's environment, then runs the test.
#   real_weights.sh TEST_PROGRAM LIBTORCH [TEST...]
# Data: $REGATTA_TEST_DATA, else ../shared/data beside the checkout. Without Python or data the test skips by name.
set -euo pipefail
test_program=$1 torch=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=${REGATTA_TEST_DATA:-$here/../../../shared/data}
python=$torch/../../../../bin/python   # not resolved: the link is what makes it the environment's
if [ -e "$data/lkunet_c4_ixi.pth" ] && ! "$python" -c "import torch" 2>/dev/null; then
  echo "LKU-Net's weights are not read: $python cannot import torch (LibTorch's CPU form is no Python package)"
elif [ -e "$data/lkunet_c4_ixi.pth" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  "$python" "$here/../../tools/pth_to_safetensors.py" "$data/lkunet_c4_ixi.pth" "$folder/lkunet.safetensors"
  export REGATTA_LKUNET_WEIGHTS=$folder/lkunet.safetensors
fi
"$test_program" "${@:3}"
