#!/usr/bin/env bash
# systemd-sandbox.sh - a REAL, throwaway systemd (system manager + journald + D-Bus) in private
# pid/mount/cgroup/ipc/uts namespaces, on a copy-on-write view of this machine's own files.
#
#   systemd-sandbox.sh run  -- CMD [ARG...]   start, run CMD inside, always stop; exit code of CMD
#   systemd-sandbox.sh start                  boot it in the background
#   systemd-sandbox.sh exec -- CMD [ARG...]   run CMD inside (cwd and environment kept)
#   systemd-sandbox.sh stop | status          power it off: units are stopped
#   systemd-sandbox.sh kill                   the power fails: every process ends at once
#
# Needs root, bash, util-linux, coreutils, systemd, dbus; overlayfs and cgroup2 in the kernel.
# Controllers (memory, pids, cpu) are those that the machine has, in cgroup v1 or v2.
# No network, container engine or image. PID 1 of the machine may be systemd or anything else.
# Host-visible writes: only below FRAISIER_SANDBOX_RW. Everything else that is written inside
# (/etc, /var, /opt, /root ...) goes to a tmpfs and is gone at stop, or to a folder that keeps it;
# /tmp /run /dev are private and always gone. Each start with such a folder has a boot id of its own.
# Never bind a host /tmp or /run into a container that boots stock units: systemd-tmpfiles
# empties them. Stock units here are a short list without any of those.
#
# FRAISIER_SANDBOX_RW     host directories left writable, ':'-separated  (default: the cwd)
# FRAISIER_SANDBOX_BIND   directories below /run to keep, e.g. /run/postgresql
# FRAISIER_SANDBOX_DISK   a folder that keeps what is written inside, for the next start with it
# FRAISIER_SANDBOX_NET    'private': own network namespace with only lo  (default: shared)
# FRAISIER_SANDBOX_STATE  state directory            (default /tmp/fraisier-systemd-sandbox-$UID)
# Inside, FRAISIER_SYSTEMD_SANDBOX=1 is set.
set -euo pipefail
umask 022 # or nobody but root could read what is inside
PATH=$PATH:/usr/sbin:/sbin
SELF=$(readlink -f "${BASH_SOURCE[0]}")
STATE=${FRAISIER_SANDBOX_STATE:-/tmp/fraisier-systemd-sandbox-$(id -u)}
PATIENCE=120 # seconds for a boot, which takes less than one on an idle machine
UNITS="basic.target sysinit.target sockets.target timers.target paths.target slices.target
  shutdown.target umount.target final.target exit.target systemd-exit.service
  poweroff.target systemd-poweroff.service reboot.target systemd-reboot.service
  halt.target systemd-halt.service rescue.target emergency.target
  multi-user.target graphical.target network.target network-pre.target network-online.target
  local-fs.target local-fs-pre.target remote-fs.target remote-fs-pre.target swap.target
  time-set.target time-sync.target nss-lookup.target nss-user-lookup.target
  user.slice machine.slice
  systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket
  dbus.service dbus.socket dbus-broker.service polkit.service
  postgresql.service postgresql@.service pgbouncer.service nginx.service caddy.service"

die() { echo "systemd-sandbox: $*" >&2; exit 1; }
starttime() { # PID -> start time in ticks (guards against a reused pid); fails for a zombie
  local s; { read -r s < "/proc/$1/stat"; } 2>/dev/null || return 1
  set -- ${s##*) }; case $1 in Z|X) return 1;; esac; echo "${20}"
}
alive() { # is the recorded init still the process that we started?
  [ -s "$STATE/init" ] || return 1
  local pid st; read -r pid st < "$STATE/init"
  [ "$(starttime "$pid" || true)" = "$st" ]
}
cgroup2_root() {
  local d; for d in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    [ "$(stat -f -c %T "$d" 2>/dev/null)" = cgroup2fs ] && { echo "$d"; return; }
  done
  return 1
}

v1_hierarchies() { # "CONTROLLERS MOUNT PATH" of what is not in cgroup2, and of systemd's name beside it
  local names path target fsroot found="" needed=""
  while IFS=: read -r _ names path; do
    case ",$names," in *,memory,*|*,pids,*|*,cpu,*) needed=1;; *,name=systemd,*);; *) continue;; esac
    read -r target fsroot < <(findmnt -rn -t cgroup -O "$names" -o TARGET,FSROOT) || continue
    found+="$names $target ${path#"${fsroot%/}"}"$'\n'
  done < /proc/self/cgroup
  [ -z "$needed" ] || printf %s "$found"
}
sweep() { # folders of sandboxes that were killed together with their script; rmdir spares all others
  local d; for d in "$1"/fraisier-sandbox-*; do
    [ -d "$d" ] && [ ! -e "/proc/${d##*-}" ] && find "$d" -depth -type d -exec rmdir {} + 2>/dev/null
  done; true
}

# ---- stage 1: own cgroups, then new namespaces ----------------------------------------------
stage_ns() {
  local root rel cg c own mnt path
  root=$(cgroup2_root) || die "no cgroup2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
  if [ -n "${FS_SCOPE:-}" ]; then             # systemd-run gave us a delegated scope
    rel=$(sed -n 's/^0:://p' /proc/self/cgroup); cg=$root$rel
  else
    sweep "$root"; cg=$root/fraisier-sandbox-$$; mkdir "$cg"
  fi
  local all=("$cg")
  while read -r _ mnt path; do                # below our own folder: its limits hold for us too
    own=$mnt${path%/}; sweep "$own"; all+=("$own/fraisier-sandbox-$$")
  done < <(v1_hierarchies)
  printf '%s\n' "${all[@]}" > "$STATE/cgroups"
  for c in "${all[@]}"; do mkdir -p "$c/supervisor" "$c/payload"; echo 0 > "$c/supervisor/cgroup.procs"; done
  for c in $(cat "$cg/cgroup.controllers"); do
    case $c in memory|pids|cpu) echo "+$c" > "$cg/cgroup.subtree_control";; esac
  done
  local ns=(--mount --pid --ipc --uts --fork --kill-child=SIGKILL --propagation private)
  [ "${FRAISIER_SANDBOX_NET:-}" = private ] && ns+=(--net)
  local dead=(); [ -n "${FS_PDEATH:-}" ] && dead=(setpriv --pdeathsig KILL)
  exec ${dead[@]+"${dead[@]}"} unshare "${ns[@]}" "$SELF" _init "${all[@]}"
}

# ---- stage 2: pid 1 of the new namespace, still seeing the outer /proc and cgroup tree --------
stage_init() {
  local me c; read -r me _ < /proc/self/stat  # our pid outside
  echo "$me $(starttime "$me")" > "$STATE/init.new"; mv "$STATE/init.new" "$STATE/init"
  for c in "$@"; do echo 0 > "$c/payload/cgroup.procs"; done
  exec unshare --cgroup "$SELF" _boot         # cgroup namespace rooted at each payload
}

# ---- stage 3: the new root, then systemd ------------------------------------------------------
stage_boot() {
  local d u n src unitdir rw keep v1 names disk new=
  mount() { command mount -n "$@"; }          # -n: leave /run/mount/utab of the host alone
  exec 8> "$STATE/console.log"
  mkdir -p "$STATE/ns"; mount -t tmpfs -o mode=0755 tmpfs "$STATE/ns"
  n=$STATE/ns/root; disk=${FRAISIER_SANDBOX_DISK:-$STATE/ns}; mkdir -p "$n" "$disk/work"
  [ -d "$disk/up" ] || { mkdir "$disk/up"; new=1; }
  mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/up,workdir=$disk/work" "$n"
  while read -r d; do                         # other real file systems (/home, /usr ...): read-only
    case $d in /|/proc*|/sys*|/dev*|/run*|/tmp*|/var/tmp*|"$STATE"*) continue;; esac
    [ -d "$d" ] && [ -d "$n$d" ] && mount --bind "$d" "$n$d" && mount -o remount,bind,ro "$n$d"
  done < <(findmnt -rno TARGET)

  mount -t proc proc "$n/proc"
  mount --bind "$n/proc/sys" "$n/proc/sys"
  if [ -n "${FRAISIER_SANDBOX_DISK:-}" ]; then # units with ProtectKernelTunables= still see the machine's own
    cat /proc/sys/kernel/random/uuid > "$STATE/ns/boot_id"
    mount --bind "$STATE/ns/boot_id" "$n/proc/sys/kernel/random/boot_id"
  fi
  mount -o remount,bind,ro "$n/proc/sys"      # pid 1 sets fs.file-max
  mount --bind /sys "$n/sys"; mount -o remount,bind,ro "$n/sys"
  v1=$(v1_hierarchies)
  if [ -n "$v1" ]; then                       # systemd's hybrid layout: v2 for its units, v1 for their limits
    mount -t tmpfs -o mode=0755,nosuid,nodev,noexec tmpfs "$n/sys/fs/cgroup"
    mkdir "$n/sys/fs/cgroup/unified"; mount -t cgroup2 cgroup2 "$n/sys/fs/cgroup/unified"
    echo '#subsys_name hierarchy num_cgroups enabled' > "$STATE/ns/cgroups"
    while read -r names _; do
      u=$n/sys/fs/cgroup/${names#name=}; mkdir "$u"
      case $names in name=*) mount -t cgroup -o "none,$names" cgroup "$u"; continue;; esac
      mount -t cgroup -o "$names" cgroup "$u"
      for d in ${names//,/ }; do
        [ "$d" = "$names" ] || ln -s "$names" "$n/sys/fs/cgroup/$d"
        grep "^$d[[:space:]]" /proc/cgroups >> "$STATE/ns/cgroups"
      done
    done <<< "$v1"
    mount --bind "$STATE/ns/cgroups" "$n/proc/cgroups"  # or systemd mounts the others too, at the machine's root
  else
    mount -t cgroup2 cgroup2 "$n/sys/fs/cgroup"
  fi
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$n/tmp"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$n/var/tmp"
  mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$n/run"
  mkdir -p "$n/run"/{lock,mount,dbus,systemd/system,fraisier/{units,none,old}}
  chmod 1777 "$n/run/lock"
  if [ -n "$new" ]; then                      # a machine of its own, without the units of this one
    rm -rf "$n"/etc/{machine-id,systemd} "$n/var/lib/systemd"; mkdir "$n/var/lib/systemd"
    tr -d - < /proc/sys/kernel/random/uuid > "$n/etc/machine-id"
    mkdir -p "$n/etc/systemd"/{system,user,system.conf.d,journald.conf.d}
    printf '%s\n' '[Manager]' 'DefaultTimeoutStopSec=10s' > "$n/etc/systemd/system.conf.d/sandbox.conf"
    printf '%s\n' '[Journal]' 'Storage=volatile' 'RuntimeMaxUse=64M' 'RateLimitIntervalSec=0' \
      'ReadKMsg=no' 'Audit=' 'ForwardToWall=no' > "$n/etc/systemd/journald.conf.d/sandbox.conf"
  fi
  d=$n/run/log/journal/$(cat "$n/etc/machine-id"); mkdir -p "$d"   # readable to its group
  chgrp -R systemd-journal "$n/run/log/journal" 2>/dev/null && chmod 2755 "$n/run/log/journal" "$d"

  mount -t tmpfs -o mode=0755,nosuid tmpfs "$n/dev"    # no console, kmsg or watchdog of the host
  for d in null zero full random urandom tty; do
    : > "$n/dev/$d"; mount --bind "/dev/$d" "$n/dev/$d"
  done
  ln -s /proc/self/fd "$n/dev/fd"
  for d in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${d%:*}" "$n/dev/${d#*:}"; done
  mkdir "$n/dev"/{pts,shm,mqueue}; ln -s pts/ptmx "$n/dev/ptmx"
  mount --bind /dev/pts "$n/dev/pts"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$n/dev/shm"

  unitdir=/usr/lib/systemd/system; [ -e $unitdir/basic.target ] || unitdir=/lib/systemd/system
  src=$n/run/fraisier/units
  for u in $UNITS; do [ -e "$unitdir/$u" ] && cp -a "$unitdir/$u" "$src/"; done
  mkdir "$src"/{sockets,multi-user}.target.wants
  for u in systemd-journald.socket systemd-journald-dev-log.socket dbus.socket; do
    ln -s "../$u" "$src/sockets.target.wants/$u"
  done
  ln -s ../dbus.service "$src/multi-user.target.wants/"; ln -s multi-user.target "$src/default.target"
  mount --bind "$src" "$n$unitdir"
  for d in /usr/local/lib/systemd/system /usr/lib/systemd/system-generators /lib/systemd/system-generators \
           /usr/local/lib/systemd/system-generators /var/log/journal; do
    [ -d "$n$d" ] && mount --bind "$n/run/fraisier/none" "$n$d"
  done

  IFS=: read -r -a keep <<< "${FRAISIER_SANDBOX_BIND:-}"
  for d in ${keep[@]+"${keep[@]}"} /run/systemd/resolve; do
    case $d in /run/*) [ -d "$d" ] && { mkdir -p "$n$d"; mount --bind "$d" "$n$d"; };; esac
  done
  IFS=: read -r -a rw <<< "${FRAISIER_SANDBOX_RW:-$PWD}"
  for d in "${rw[@]}"; do
    d=$(readlink -f "$d"); case $d in /|/tmp|/var|/var/tmp|/run|/etc|/usr|/dev|/proc*|/sys*) die "refusing writable $d";; esac
    [ -d "$d" ] && { mkdir -p "$n$d"; mount --bind "$d" "$n$d"; }
  done

  cd "$n"; pivot_root . run/fraisier/old; cd /; umount -n -l /run/fraisier/old
  hostname fraisier-sandbox; echo fraisier-sandbox > /etc/hostname
  [ "${FRAISIER_SANDBOX_NET:-}" != private ] || ip link set lo up
  local bin=/usr/lib/systemd/systemd; [ -x $bin ] || bin=/lib/systemd/systemd
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    container=fraisier-sandbox "$bin" --system --unit=multi-user.target --show-status=no \
    --log-target=journal < /dev/null >&8 2>&8 8>&-
}

# ---- commands -------------------------------------------------------------------------------
enter() ( # run a command inside: same cwd and environment, own cgroup, real exit code
  read -r pid _ < "$STATE/init"
  ns=(-m -p -i -u -C); [ "${FRAISIER_SANDBOX_NET:-}" = private ] && ns+=(-n)
  trap '' INT QUIT                            # ^C is for CMD; nsenter stays to pass on its exit code
  exec nsenter -t "$pid" "${ns[@]}" sh -c '
    [ "$(cat /proc/sys/kernel/hostname)" = fraisier-sandbox ] || exit 75   # not in its own root yet
    for d in /sys/fs/cgroup $([ -e /sys/fs/cgroup/cgroup.procs ] || echo /sys/fs/cgroup/*); do
      [ ! -e $d/cgroup.procs ] || { mkdir -p $d/fraisier-tests.scope && echo 0 > $d/fraisier-tests.scope/cgroup.procs; }
    done
    cd "$1" 2>/dev/null || cd /; shift
    unset DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS XDG_RUNTIME_DIR NOTIFY_SOCKET LISTEN_FDS LISTEN_PID INVOCATION_ID JOURNAL_STREAM FS_PDEATH FS_SCOPE FRAISIER_SANDBOX_STATE FRAISIER_SANDBOX_DISK
    FRAISIER_SYSTEMD_SANDBOX=1 exec env --default-signal=INT,QUIT "$@"' sh "$PWD" "$@"
)

cmd_start() {
  local t out=
  [ "$(id -u)" = 0 ] || die "needs root (sudo -E $SELF ...)"
  for t in unshare nsenter flock setpriv findmnt pivot_root systemctl dbus-daemon; do
    command -v $t > /dev/null || die "$t not found (apt-get install systemd dbus util-linux)"
  done
  [ -d "$STATE" ] || mkdir -m 700 "$STATE"
  [ -O "$STATE" ] && [ ! -L "$STATE" ] || die "$STATE is not ours"
  exec 9> "$STATE/lock"; flock -n 9 || die "another start is under way"
  alive && die "already running ($STATE)"
  cmd_kill                                    # what is left of one whose script was killed
  export FRAISIER_SANDBOX_STATE=$STATE
  if [ -d /run/systemd/system ] && systemctl show -p Version > /dev/null 2>&1; then
    FS_SCOPE=1 setsid systemd-run --quiet --scope --collect -p Delegate=yes \
      --unit="fraisier-sandbox-$$" -- "$SELF" _ns < /dev/null > "$STATE/boot.log" 2>&1 9>&- &
  else
    setsid "$SELF" _ns < /dev/null > "$STATE/boot.log" 2>&1 9>&- &
  fi
  STARTED=1
  SECONDS=0
  while [ $SECONDS -lt "$PATIENCE" ]; do
    if alive; then out=$(enter systemctl is-system-running 2>/dev/null) || true
      case $out in running|degraded) break;; esac; fi
    kill -0 $! 2>/dev/null || break
    sleep 0.03
  done
  case $out in
    running) ;;
    degraded) enter systemctl --failed --no-pager >&2 || true ;;
    *) cat "$STATE/boot.log" "$STATE/console.log" >&2 2>/dev/null || true
       alive && for t in --failed list-jobs; do enter timeout 9 systemctl $t --no-pager >&2 || true; done
       cmd_stop; die "systemd did not come up (${out:-no answer})" ;;
  esac
  exec 9>&-
}

signal_cgroup() { # SIGNAL DIR: every process of that (our own) cgroup
  local p; for p in $(cat "$2/cgroup.procs" 2>/dev/null); do [ "$p" = 0 ] || kill -s "$1" "$p" 2>/dev/null || true; done
}
cmd_stop() {
  local pid st cg i t
  if alive; then
    read -r cg < "$STATE/cgroups"
    # first the commands entered from outside: systemd-shutdown would SIGSTOP them, and their
    # waiting nsenter, stopped along with them, would keep the pid namespace from ending
    t=$cg/payload/fraisier-tests.scope
    if [ -d "$t" ]; then
      signal_cgroup TERM "$t"
      for i in $(seq 100); do [ -n "$(cat "$t/cgroup.procs" 2>/dev/null)" ] || break; sleep 0.05; done
      signal_cgroup KILL "$t"
    fi
    read -r pid st < "$STATE/init"
    kill -s RTMIN+4 "$pid" 2>/dev/null || true          # clean poweroff: units get stopped
    for i in $(seq 400); do alive || break; sleep 0.05; done
  fi
  cmd_kill
}
cmd_kill() {
  local pid st i d
  if alive; then
    read -r pid st < "$STATE/init"
    kill -KILL "$pid" 2>/dev/null || true; for i in $(seq 100); do alive || break; sleep 0.05; done
    alive && die "pid $pid did not end"
  fi
  for d in $(cat "$STATE/cgroups" 2>/dev/null); do
    for i in $(seq 20); do                              # rmdir: only empty directories can go
      [ -d "$d" ] || break
      find "$d" -depth -type d -exec rmdir {} + 2>/dev/null && break; sleep 0.05
    done
  done
  rm -f "$STATE"/{init,cgroups,console.log,boot.log}; rmdir "$STATE/ns" 2>/dev/null || true
}

cmd_run() {
  local rc=0 child
  STARTED=
  trap 'rc=$?; trap - EXIT; [ -z "$STARTED" ] || cmd_stop; exit $rc' EXIT
  trap 'exit 143' TERM HUP                    # the exit trap powers the sandbox off, CMD included
  export FS_PDEATH=1                          # and a SIGKILL of this script takes it down as well
  cmd_start
  trap : INT
  enter "$@" <&0 & child=$!
  while :; do rc=0; wait $child || rc=$?; kill -0 $child 2>/dev/null || break; done
  exit $rc
}

sub=${1:-}; shift || true; [ "${1:-}" = -- ] && shift
case $sub in
  run)    [ $# -gt 0 ] || die "run: no command"; cmd_run "$@" ;;
  start)  unset FS_PDEATH; cmd_start ;;
  exec)   alive || die "not running"; enter "$@" ;;
  stop)   cmd_stop ;;
  kill)   cmd_kill ;;
  status) alive || { echo stopped; exit 3; }
          echo "running init=$(cut -d' ' -f1 "$STATE/init") $(enter systemctl is-system-running || true)" ;;
  _ns) stage_ns ;; _init) stage_init "$@" ;; _boot) stage_boot ;;
  *)      sed -n '2,9p' "$SELF" >&2; exit 2 ;;
esac
