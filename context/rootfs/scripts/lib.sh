# shellcheck shell=bash
# Shared by every script of this rootfs: the facts of the build, checks, and files put on the host.
# A script sets SCRIPTS to its own folder, sources this file, checks all it needs, and only then changes the host.
# Needs bash 4.2. Every path of the host is below ROOT, which is empty outside of tests.

umask 022
ROOT=${ROOT:-}
ROOTFS=$(dirname "$SCRIPTS")
SELF=${0##*/}
OWNED=$ROOT/etc/sealerio/rootfs # one list of installed paths per part: kube, docker, containerd
STAGE=                          # a folder that disappears with the script
CHANGED=no                      # did a file of the host change in this run?
PENDING=                        # a mark on the host that a restart is due, should the script be killed before it
SOURCE=

FACTS='CRI_SOCKET REGISTRY_DOMAIN REGISTRY_PORT SOURCE' # the variables that etc/rootfs.env sets
DOMAIN='' PORT='' ENDPOINT=''                           # the registry in use, set by resolve_registry

say() { printf '%s: %s\n' "$SELF" "$*"; }
warn() { printf '%s: warning: %s\n' "$SELF" "$*" >&2; }
die() {
  printf '%s: error: %s\n' "$SELF" "$*" >&2
  exit 1
}

# need_files FILE...: files of the rootfs, relative to its top; one message names all that are missing.
need_files() {
  local file missing=''
  for file in "$@"; do
    [[ -f $ROOTFS/$file ]] || missing+=" $file"
  done
  [[ -z $missing ]] || die "missing from the rootfs $ROOTFS:$missing; copy the rootfs to this host again"
}

need_commands() {
  local name missing=''
  for name in "$@"; do
    command -v "$name" >/dev/null || missing+=" $name"
  done
  [[ -z $missing ]] || die "commands not found on this host:$missing; install them and run this script again"
}

# read_facts: what the build wrote into etc/rootfs.env. The file is read, never executed.
read_facts() {
  local key value
  need_files etc/rootfs.env
  for key in $FACTS; do printf -v "$key" '%s' ''; done
  while IFS='=' read -r key value; do
    if [[ " $FACTS " == *" $key "* ]]; then printf -v "$key" '%s' "$value"; fi
  done <"$ROOTFS/etc/rootfs.env"
  for key in $FACTS; do
    [[ -n ${!key} ]] || die "etc/rootfs.env of the rootfs does not set $key; build the rootfs again"
  done
}

# refuse_sample: stand-ins of a sample build must not replace the programs of a real host.
refuse_sample() {
  [[ $SOURCE != sample || -n $ROOT ]] ||
    die "this rootfs is a sample build: its binaries are stand-ins and it cannot be deployed"
}

# resolve_registry [DOMAIN [PORT]]: arguments (v0.8 contract) win over the environment (v0.9), and that over the build.
resolve_registry() {
  DOMAIN=${1:-} PORT=${2:-}
  if [[ -z $DOMAIN && -n ${RegistryURL:-} ]]; then
    DOMAIN=${RegistryURL%:*}
    if [[ $RegistryURL == *:* ]]; then PORT=${PORT:-${RegistryURL##*:}}; else PORT=${PORT:-none}; fi
  fi
  DOMAIN=${DOMAIN:-${RegistryDomain:-$REGISTRY_DOMAIN}}
  PORT=${PORT:-${RegistryPort:-$REGISTRY_PORT}}
  [[ $DOMAIN =~ ^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$ ]] || die "not a registry domain: '$DOMAIN'"
  [[ $PORT == none || $PORT =~ ^[0-9]{1,5}$ ]] || die "not a registry port: '$PORT'"
  ENDPOINT=$DOMAIN
  [[ $PORT == none ]] || ENDPOINT=$DOMAIN:$PORT
}

make_stage() {
  mkdir -p "$ROOT/var/tmp"
  STAGE=$(mktemp -d "$ROOT/var/tmp/rootfs.XXXXXX")
  trap 'rm -rf -- "$STAGE"' EXIT
}

# check_archive FILE MEMBER...: FILE is a whole gzip tar that holds the members and cannot write outside of its root.
check_archive() {
  local file=$1 member list=$STAGE/members
  shift
  tar -tzf "$ROOTFS/$file" >"$list" 2>/dev/null || die "$file of the rootfs is damaged; copy the rootfs to this host again"
  if grep -Eq '^/|(^|/)\.\.(/|$)' "$list"; then die "$file of the rootfs has members outside of its root"; fi
  for member in "$@"; do
    grep -Eq "^(\./)?${member//./\\.}\$" "$list" || die "$file of the rootfs holds no $member"
  done
}

# unpack FILE: into a new folder of the stage, whose name it sets in UNPACKED.
unpack() {
  UNPACKED=$STAGE/${1##*/}.d
  mkdir "$UNPACKED"
  tar -xzf "$ROOTFS/$1" -C "$UNPACKED" --no-same-owner
}

# is_foreign PART PATH: something else than this rootfs put PATH on the host.
is_foreign() {
  [[ -e $ROOT$2 || -L $ROOT$2 ]] && ! { [[ -f $OWNED/$1 ]] && grep -Fxq -- "$2" "$OWNED/$1"; }
}

# claim PART PATH...: note what is about to be installed; refuse to replace what something else installed.
claim() {
  local part=$1 path foreign=''
  shift
  for path in "$@"; do
    if is_foreign "$part" "$path"; then foreign+=" $path"; fi
  done
  [[ -z $foreign ]] ||
    die "already on this host, and not from this rootfs:$foreign; uninstall the $part that is there and run this script again"
  own "$part" "$@"
}

# own PART PATH...: note the paths without asking whose they were.
own() {
  local part=$1
  shift
  mkdir -p "$OWNED"
  {
    if [[ -f $OWNED/$part ]]; then cat "$OWNED/$part"; fi
    printf '%s\n' "$@"
  } | LC_ALL=C sort -u >"$OWNED/$part.new"
  mv -f "$OWNED/$part.new" "$OWNED/$part"
}

# put MODE SOURCE PATH: PATH of the host becomes a copy of SOURCE, at once or not at all; an equal file stays untouched.
put() {
  local mode=$1 source=$2 path=$ROOT$3
  if [[ -f $path && ! -L $path ]] && cmp -s "$source" "$path"; then
    chmod "$mode" "$path"
    return
  fi
  CHANGED=yes
  if [[ -n $PENDING ]]; then : >"$PENDING"; fi
  mkdir -p "${path%/*}"
  cp "$source" "$path.new"
  chmod "$mode" "$path.new"
  mv -f "$path.new" "$path"
}

# put_text MODE PATH TEXT
put_text() {
  printf '%s' "$3" >"$STAGE/text"
  put "$1" "$STAGE/text" "$2"
}

# put_config FILE PATH [OLD NEW]: a text file of the rootfs, with the registry of the build replaced by the one in use.
put_config() {
  local text
  text=$(<"$ROOTFS/$1")
  text=${text//"$REGISTRY_DOMAIN:$REGISTRY_PORT"/$ENDPOINT}
  text=${text//"/$REGISTRY_DOMAIN.crt"//$DOMAIN.crt}
  if [[ -n ${3:-} ]]; then text=${text//"$3"/"$4"}; fi
  put_text 0644 "$2" "$text"$'\n'
}

# start_units UNIT...: enabled and running; restarted, all at once, only when a file changed since the last time.
start_units() {
  local unit verb=
  if [[ $CHANGED == yes || -e $PENDING ]]; then
    systemctl daemon-reload
    verb=restart
  fi
  for unit in "$@"; do
    systemctl is-enabled --quiet "$unit" 2>/dev/null || systemctl enable --quiet "$unit"
    systemctl is-active --quiet "$unit" || verb=${verb:-start}
  done
  [[ -z $verb ]] || systemctl "$verb" "$@" || die "cannot $verb $*; see: journalctl -u $1"
  rm -f -- "$PENDING"
  PENDING=
}

# stop_unit UNIT: stopped and disabled; a unit that is not there is fine.
stop_unit() {
  [[ -f $ROOT/etc/systemd/system/$1 ]] || return 0
  systemctl stop "$1" || warn "$1 does not stop; its files are removed all the same"
  systemctl disable --quiet "$1" || warn "$1 cannot be disabled"
}

# remove_owned PART [FOLDER...]: remove what PART installed, then those of its folders that are empty.
remove_owned() {
  local part=$1 path
  shift
  while read -r path; do
    rm -f -- "$ROOT$path"
  done <"$OWNED/$part"
  for path in "$@"; do
    if [[ -d $ROOT$path ]]; then rmdir --ignore-fail-on-non-empty "$ROOT$path"; fi
  done
  rm -f -- "$OWNED/$part" "$OWNED/$part.pending"
  rmdir --ignore-fail-on-non-empty "$OWNED"
  if [[ ! -d $OWNED ]]; then rmdir --ignore-fail-on-non-empty "${OWNED%/*}"; fi
}
