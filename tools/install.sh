#!/bin/sh
# Creates one of the course's virtual environments. `make` calls it; run it again after any failure.
#   tools/install.sh .venv          the tested set of requirements.lock, with JupyterLab and the test tools
#   tools/install.sh .venv-bare     what `pip install` alone gives, with the oldest supported torch: no Jupyter
#   tools/install.sh .venv-oldest   .venv-bare plus JupyterLab and the test tools
# PYTHON names the interpreter; TORCH=cpu takes PyTorch's small CPU build from TORCH_INDEX.
set -eu
cd "$(dirname "$0")/.."

env=$1
lowest="3, 11" highest="3, 14"   # every package in requirements.lock has wheels for these
oldest_torch="torch==2.9.1 torchvision==0.24.1"
TORCH=${TORCH:-pypi}
TORCH_INDEX=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}

fail() {
    printf '\ncourse: %s\n' "$1" >&2
    exit 1
}

# The first interpreter that is neither too old nor too new and can make environments. Debian packs
# ensurepip apart from Python, so a Python that runs is not yet one that can.
find_python() {
    too_plain=
    while read -r candidate; do
        "$candidate" -c "import sys; sys.exit(not ($lowest) <= sys.version_info[:2] <= ($highest))" 2>/dev/null || continue
        "$candidate" -c "import ensurepip, venv" 2>/dev/null && echo "$candidate" && return
        too_plain=$candidate
    done <<EOF
${PYTHON:-$(printf '%s\n' python3 python3.14 python3.13 python3.12 python3.11)}
EOF
    range="$(echo "$lowest to $highest" | sed 's/, /./g')"
    [ -z "$too_plain" ] || fail "$too_plain cannot create virtual environments: on Debian and Ubuntu run \
'sudo apt-get install python3-venv' (for a Python that is not the system's: its own -venv package), then try again."
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not a Python $range that runs: name another one."
    fail "The course needs Python $range, and this machine has $(python3 -V 2>/dev/null || echo no python3): \
install one (Debian, Ubuntu: 'sudo apt-get install python3 python3-venv'), or name one that is elsewhere: \
PYTHON=/path/to/python make lab."
}

# GiB that must be free (the environment and the files being unpacked: measured, rounded up), GB to download.
check_space() {
    case "$env $TORCH $(uname -s)" in
    .venv-oldest*) need=2 load=0.2 ;;
    *"pypi Linux") need=10 load=3 ;;
    *) need=4 load=0.5 ;;
    esac
    free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free" -ge "$need" ] || fail "The disk of $(pwd) has $free GiB free and the installation takes up to \
$need GiB: make room${small_hint}, then try again."
}

create() {
    case $TORCH in cpu | pypi) ;; *) fail "TORCH=$TORCH is not known: take TORCH=cpu or TORCH=pypi." ;; esac
    small_hint=; [ "$TORCH" = cpu ] || small_hint=", or take the small build of PyTorch with TORCH=cpu"
    wanted="$TORCH $(pwd)"       # an environment cannot be moved, and a CPU build hides a GPU build
    if [ "$(cat "$env/.made" 2>/dev/null)" = "$wanted" ] && "$env/bin/python" -c "import pip" 2>/dev/null; then
        return
    fi
    if [ -e "$env" ] && [ ! -e "$env/.made" ]; then
        fail "$(pwd)/$env was not made by this command: move it away, then try again."
    fi
    python=$(find_python)
    rm -rf "$env"
    check_space
    mkdir "$env"
    echo "$wanted" >"$env/.made"
    echo "$TORCH" >"$env/.torch"
    echo '*' >"$env/.gitignore"
    "$python" -m venv "$env" || fail "$python could not create $(pwd)/$env: the lines above say why."
    echo "Installing into $env with $("$python" -V): about $load GB to download."
}

# pip with a log and, where /tmp is small or in memory, room to unpack.
pip() {
    mkdir -p "$env/tmp"
    rm -f "$env/install.log"
    quiet=; [ -t 1 ] || quiet="--quiet --progress-bar off"
    verb=$1; shift
    [ "$verb" = install ] || quiet=
    TMPDIR=$(pwd)/$env/tmp "$env/bin/python" -m pip "$verb" --disable-pip-version-check --no-input $quiet \
        --log "$env/install.log" "$@" || explain
    rm -rf "$env/tmp"
}

explain() {
    rm -rf "$env/tmp"
    said() { grep -Eqi "$1" "$env/install.log" 2>/dev/null; }
    if said "no space left|disk quota"; then
        fail "The disk is full: make room${small_hint-}, then run the same command again; it goes on where it stopped."
    elif said "do not match the hashes"; then
        fail "A downloaded package is not the one that the course was tested with, so it was not installed: \
run the same command again, and if it fails again, on another network."
    elif said "name resolution|name or service not known|nodename nor servname|failed to establish a new connection|\
network is unreachable|connection (refused|reset|aborted)|timed out|sslerror|proxyerror"; then
        fail "Packages could not be downloaded: check the network connection (and the proxy, if there is one), \
then run the same command again."
    elif said "no matching distribution"; then
        fail "A package has no build for this system ($(uname -sm)): README.md lists the systems that are supported."
    fi
    fail "pip could not finish: the lines above say why, and all of it is in $env/install.log."
}

# JupyterLab asks the network for nothing by itself: no news, no update check, no extension list. The server
# answers widgets at once and saves them alive (course_lib/widgets/server.py); an editable install does not
# bring that file along.
configure_jupyter() {
    mkdir -p "$env/etc/jupyter/jupyter_server_config.d" "$env/share/jupyter/lab/settings"
    cat >"$env/etc/jupyter/jupyter_lab_config.json" <<EOF
{"LabApp": {"news_url": null, "check_for_updates_class": "jupyterlab.NeverCheckForUpdate", "extension_manager": "readonly"}}
EOF
    cat >"$env/share/jupyter/lab/settings/overrides.json" <<EOF
{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
EOF
    cp tools/course_lib.json "$env/etc/jupyter/jupyter_server_config.d/"
}

install_locked() {
    lock=requirements.lock
    if [ "$TORCH" = cpu ]; then
        # PyPI has no CPU build for Linux. Those of PyTorch's own index bring none of NVIDIA's libraries.
        pins=$(sed -nE 's/^((torch|torchvision)==[^ ]*).*/\1/p' requirements.lock)
        pip install --no-deps --index-url "$TORCH_INDEX" $pins
        lock=$env/requirements-without-torch.lock
        awk '/^[a-z]/ { keep = !/^(torch|torchvision|triton|nvidia-[^=]*|cuda-[^=]*)==/ } keep' requirements.lock >"$lock"
    fi
    pip install --no-deps --require-hashes -r "$lock"
    pip install --no-deps --no-build-isolation -e .   # setuptools is in the lock
    pip check
    configure_jupyter
}

install_bare() {
    [ "$TORCH" = pypi ] || pip install --index-url "$TORCH_INDEX" $oldest_torch
    pip install $oldest_torch -e .
}

# Sees the packages of .venv-bare, so that torch is installed once.
install_oldest() {
    site='import sysconfig; print(sysconfig.get_path("purelib"))'
    "$(pwd)/.venv-bare/bin/python" -c "$site" >"$("$env/bin/python" -c "$site")/bare.pth"
    pip install $oldest_torch -e ".[lab,test]"
}

create
case $env in
.venv) install_locked ;;
.venv-bare) install_bare ;;
.venv-oldest) install_oldest ;;
*) fail "There is no recipe for an environment called $env." ;;
esac
