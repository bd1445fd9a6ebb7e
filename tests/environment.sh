# shellcheck shell=sh
# Shell functions that set up what a checkout needs: a virtual environment and Debian packages. Sourced, not run.

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    echo "this needs root, and there is no sudo: $*" >&2
    return 1
  fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get -q update >/dev/null && apt-get -q install -y --no-install-recommends "$@" >/dev/null' sh "$@"
}

# ensure_debian_packages FILE: install the packages that FILE lists (one a line, # comments) and that are missing.
ensure_debian_packages() {
  missing=""
  while read -r package _; do
    case "$package" in "" | "#"*) continue ;; esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done <"$1"
  [ -z "$missing" ] && return 0
  echo "installing Debian packages:$missing" >&2
  # shellcheck disable=SC2086 # a list of words
  apt_install $missing
}

# ensure_environment ROOT EXTRA: make ROOT/.venv with buildsys from ROOT in it, and the extra dependencies EXTRA.
ensure_environment() {
  stamp="$1/.venv/installed-${2:-plain}"
  fresh=$(find "$stamp" -newer "$1/pyproject.toml" 2>/dev/null || true)
  [ -n "$fresh" ] && [ -x "$1/.venv/bin/python" ] && return 0
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    command -v python3 >/dev/null || apt_install python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
      echo "buildsys needs Python 3.11 or newer; this is $(python3 --version)" >&2
      return 1
    }
  fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
  [ -x "$1/.venv/bin/python" ] || python3 -m venv "$1/.venv"
  echo "installing buildsys into .venv" >&2
  "$1/.venv/bin/python" -m pip --disable-pip-version-check --quiet install -e "$1${2:+[$2]}" >&2
  "$1/.venv/bin/python" -m compileall -q "$1/buildsys"  # even where PYTHONDONTWRITEBYTECODE is set, start fast
  touch "$stamp" "$1/.venv/installed-plain"
}
