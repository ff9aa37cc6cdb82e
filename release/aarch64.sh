#!/bin/sh
# The runtime on 64-bit Arm, under emulation:
#
#     release/aarch64.sh FOLDER                             # makes the face of an example
#     release/aarch64.sh FOLDER -m pytest -q tests/runtime/live/test_stream_pool.py
#
# Needs Debian 12 (apt-get, dpkg), its mirrors, and pip ($PYTHON -m pip; python3 unless given). Nothing is installed: qemu,
# Debian's Python for Arm and the wheels for Arm are unpacked in FOLDER, once. Emulation takes ten times as long and more.
set -eu
folder=$1
shift
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

if [ ! -e "$folder/ready" ]; then
    mkdir -p "$folder/debs/partial" "$folder/lists/partial" "$folder/root/proc"
    (
        cd "$folder/debs"
        apt-get download -qq qemu-user-static
        dpkg -x qemu-user-static_*.deb "$folder/emulator"
        rm qemu-user-static_*.deb
        set -- -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder"
        apt-get "$@" update
        apt-get "$@" download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libexpat1 zlib1g libssl3 \
            libffi8 libbz2-1.0 liblzma5 libstdc++6 libgcc-s1 libuuid1 libcrypt1 libsqlite3-0
        for package in *.deb; do dpkg -x "$package" "$folder/root"; done
    )
    # ONNX Runtime reads of what kind each core is, and qemu would show it those of this machine.
    for core in 0 1; do
        printf 'processor\t: %s\nFeatures\t: fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimdrdm lrcpc asimddp\n' $core
        printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n'
    done >"$folder/root/proc/cpuinfo"
    platforms=$(for minor in 17 24 25 26 27 28; do printf -- '--platform manylinux_2_%s_aarch64 ' $minor; done)
    # shellcheck disable=SC2086  # several words
    "${PYTHON:-python3}" -m pip install --quiet --target "$folder/site" --only-binary=:all: --no-compile --python-version 3.11 \
        --implementation cp $platforms --platform manylinux2014_aarch64 --constraint "$here/constraints.txt" \
        numpy soundfile soxr webrtcvad-wheels onnxruntime pytest hypothesis
    touch "$folder/ready"
fi

[ $# -gt 0 ] || set -- -m voxface run "$here/examples/sample_female.flac" --out "$folder/face" --force
cd "$here"
export QEMU_CPU=max,sve=off PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 XDG_CACHE_HOME="$folder/cache"
export PYTHONPATH="$here/src:$here:$folder/site"
exec "$folder/emulator/usr/bin/qemu-aarch64-static" -L "$folder/root" "$folder/root/usr/bin/python3.11" "$@"
