# Shared by script/demo and script/test: system packages, then a virtual environment in .venv.
# Sourced, not run. Needs bash.

say() { printf '%s\n' "$*" >&2; }
stop() { say "error: $*"; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else stop "installing system packages needs root: run this as root, or install sudo"
  fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# install_packages NAME...: says what it installs, and refuses if apt would remove anything for it.
install_packages() {
  command -v apt-get >/dev/null || stop "this script knows Debian and Ubuntu only; see README.md for the packages it needs"
  local missing=() name plan
  for name in "$@"; do installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || { say "System packages: all there."; return; }
  say "System packages to install: ${missing[*]}"
  as_root apt-get update -qq >&2 || stop "apt-get update failed; check the network and /etc/apt/sources.list"
  plan=$(apt-get install -s --no-install-recommends "${missing[@]}") || stop "apt cannot install: ${missing[*]}"
  if printf '%s\n' "$plan" | grep -q '^Remv'; then
    printf '%s\n' "$plan" | grep '^Remv' >&2
    stop "installing these would remove the packages above; nothing was changed"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
    || stop "apt-get install failed"
}

# A Python of 3.11 or later that can make virtual environments; Debian's own needs python3-venv for that.
usable_python() {
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# setup_environment EXTRAS: .venv with the project in it, made anew only when the project's needs changed.
setup_environment() {
  local extras=$1 stamp
  stamp="$(python3 -V) $PWD $extras $(sha256sum pyproject.toml)"
  if [ -x .venv/bin/omniid ] && [ "$(cat .venv/installed-for 2>/dev/null)" = "$stamp" ]; then
    say "Virtual environment .venv: up to date."
    return
  fi
  say "Virtual environment .venv: installing omniid[$extras] and what it needs from PyPI"
  [ -x .venv/bin/pip ] || python3 -m venv --clear .venv || stop "cannot make .venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$extras]" || stop "pip failed; check the network"
  printf '%s' "$stamp" > .venv/installed-for
}
