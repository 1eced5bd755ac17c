#!/bin/sh
# Installs MSMorph into a virtual environment: the one step that the Dockerfile and
# Singularity.def share. Versions are those of constraints.txt.
#
#   install.sh SOURCE VENV [cpu|cuda]
#
# cpu takes PyTorch's build without CUDA, a quarter of the size of the other; where pip's index
# does not have it, PIP_EXTRA_INDEX_URL must name the one that pytorch.org gives for CPU.
set -eu

source=$1 venv=$2 device=${3:-cpu}
version=$(sed -n 's/^torch==//p' "$source/constraints.txt")
case $device in
    cpu) torch="torch==$version+cpu" ;;
    cuda) torch="torch==$version" ;;
    *) echo "install.sh: the device must be cpu or cuda, not $device." >&2; exit 2 ;;
esac

python3 -m venv "$venv"
install() {
    "$venv/bin/pip" install --no-cache-dir --disable-pip-version-check \
        --constraint "$source/constraints.txt" "$@"
}
# torch goes first and by its exact version: a looser request pulls gigabytes of CUDA packages.
if ! install "$torch"; then
    [ "$device" = cuda ] || echo "install.sh: cannot install PyTorch without CUDA ($torch); give" \
        "the build argument PIP_EXTRA_INDEX_URL (the CPU index that pytorch.org names), or build" \
        "with DEVICE=cuda." >&2
    exit 1
fi
if [ "$device" = cuda ] && ! "$venv/bin/python" -c 'import torch; assert torch.version.cuda'; then
    echo "install.sh: pip's settings gave a build of PyTorch without CUDA; leave them out." >&2
    exit 1
fi
install "$source"
# Nothing is installed at run time.
"$venv/bin/pip" uninstall --yes --quiet pip
