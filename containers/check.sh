#!/usr/bin/env bash
# Builds the Dockerfile without Docker and without a registry of images, and runs the demo in the
# image as it is meant to run: as a UID nobody knows, with a read-only root, without a network.
#
#   sudo containers/check.sh [FOLDER]
#
# The base image is made by debootstrap, the rest by buildah from the Dockerfile itself; pip's
# settings on this machine (mirrors, certificate) hold for the build. FOLDER takes about 10 GB
# (default: a new one in /var/tmp) and is emptied of the images afterwards, unless KEEP=1.
# Needs root, debootstrap and buildah (Debian: apt-get install debootstrap buildah).
set -euo pipefail
cd "$(dirname "$0")/.."

for program in debootstrap buildah unshare chroot; do
    command -v "$program" >/dev/null || { echo "check.sh: $program is not installed." >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "check.sh: must be run as root (chroot, mount)." >&2; exit 2; }

folder=$(realpath -m "${1:-$(mktemp -d /var/tmp/msmorph-check.XXXXXX)}")
mkdir -p "$folder"
store=(--root "$folder/images" --runroot "$folder/run" --storage-driver vfs)
user=$((20000 + RANDOM))

say() { printf '%s  %4d s  %s\n' "$(date +%T)" "$SECONDS" "$*"; }

clean() {
    buildah "${store[@]}" umount --all >/dev/null 2>&1 || true
    [ "${KEEP:-0}" = 1 ] || rm -rf "$folder/images" "$folder/run" "$folder/base" "$folder/data"
}
trap clean EXIT

# Debian's Python 3.11 in place of the python:3.11-slim-bookworm image.
make_base() {
    [ -x "$folder/base/usr/bin/python3" ] || debootstrap --variant=minbase \
        --include=python3-venv,ca-certificates bookworm "$folder/base" >"$folder/debootstrap.log"
    rm -rf "$folder"/base/var/cache/apt/archives/*.deb "$folder"/base/var/lib/apt/lists/*
    local container
    container=$(buildah "${store[@]}" from scratch)
    buildah "${store[@]}" add --quiet "$container" "$folder/base" / >/dev/null
    buildah "${store[@]}" commit --quiet --rm "$container" localhost/msmorph-base >/dev/null
}

# pip's settings here as build arguments, and the local folders they name as volumes.
pip_settings() {
    local key value word
    for key in index-url extra-index-url find-links; do
        value=$(python3 -m pip config get ":env:.$key" 2>/dev/null) ||
            value=$(python3 -m pip config get "global.$key" 2>/dev/null) || continue
        for word in $value; do
            word=${word#file://} word=${word%/simple}  # an index lies beside its files
            [ ! -d "$word" ] || printf '%s\n' --volume "$word:$word:ro"
        done
        key=${key^^}
        printf '%s\n' --build-arg "PIP_${key//-/_}=$value"
    done
    printf '%s\n' --volume /etc/ssl/certs/ca-certificates.crt:/run/host-ca.crt:ro \
        --build-arg PIP_CERT=/run/host-ca.crt
}

build() {
    local settings
    mapfile -t settings < <(pip_settings)
    buildah "${store[@]}" bud --isolation chroot --pull-never --build-arg BASE=localhost/msmorph-base \
        "${settings[@]}" --tag localhost/msmorph --file Dockerfile . >"$folder/build.log" 2>&1 ||
        { tail -n 20 "$folder/build.log" >&2; exit 1; }
}

# inside COMMAND...: in the image's environment and folder, as $user, all but /tmp and /mnt read-only.
inside() {
    # shellcheck disable=SC2016
    unshare --mount --net --ipc --pid --fork bash -euc '
        root=$1 data=$2 user=$3; shift 3
        mount --bind "$root" "$root" && mount -o remount,bind,ro "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/tmp"
        mount --bind "$data" "$root/mnt"
        [ ! -d "$data/bids" ] || mount -o bind,ro "$data/bids" "$root/mnt/bids"
        exec chroot --userspec="$user:$user" --groups= "$root" /usr/bin/env -i "$@"
    ' inside "$root" "$folder/data" "$user" "${settings[@]}" HOME=/nonexistent "$@"
}

say "base image (debootstrap)"
make_base
say "build of the Dockerfile"
build
container=$(buildah "${store[@]}" from --pull-never localhost/msmorph)
root=$(buildah "${store[@]}" mount "$container")
what() { buildah "${store[@]}" inspect --type image --format "$1" localhost/msmorph; }
mapfile -t settings < <(what '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' | sed '/^$/d')
settings=(-C "$(what '{{.OCIv1.Config.WorkingDir}}')" "${settings[@]}")
entry=$(what '{{index .OCIv1.Config.Entrypoint 0}}')
say "image: $(du -sm "$root" | cut -f1) MB, of which base $(du -sm "$folder/base" | cut -f1) MB;" \
    "user $(what '{{.OCIv1.Config.User}}'), entry point $entry"

mkdir -p "$folder/data"
chown "$user:$user" "$folder/data"
inside "$entry" --version
if inside touch /opt/venv/written 2>/dev/null; then
    echo "check.sh: the root is not read-only: the check is of no use." >&2
    exit 1
fi
inside msmorph-demo /mnt/bids >/dev/null
say "demo, one session, as UID $user"
inside "$entry" /mnt/bids /mnt/out participant --participant-label 01 --session-label 01
inside "$entry" /mnt/bids /mnt/out group
inside python - /mnt/out/group_morph.tsv <<'PYTHON'
import sys

import pandas as pd

table = pd.read_table(sys.argv[1], na_values="n/a")
print(table[["participant_id", "session_id", "thalamus_flair_ml", "thalamus_t1w_ml"]].to_string())
assert len(table) == 1 and table[["thalamus_flair_ml", "thalamus_t1w_ml"]].notna().all(axis=None)
PYTHON
say "the container works"
