#!/bin/bash
# A real, throw-away Slurm cluster on this one machine, without systemd, for tests. README.md says what was learnt.
#   slurmbox.sh up   DIR [--nodes N] [--gpus G] [--cpus C] [--iso none|ns|net] [--auth munge|none] [--fasttick]
#   slurmbox.sh down DIR                # cancel jobs, stop every process by pid
#   slurmbox.sh env  DIR                # prints 'export ...' for clients
#   slurmbox.sh node-crash DIR nodeK    # the whole node dies at once (slurmd, steps, ranks)
#   slurmbox.sh slurmd-kill DIR nodeK   # SIGKILL slurmd only; running steps survive
#   slurmbox.sh node-start DIR nodeK    # bring it (or its slurmd) back
#   slurmbox.sh ctld-stop|ctld-kill|ctld-start DIR
#   slurmbox.sh link DIR nodeK up|down  # --iso net only: cut or restore the node's network
# --iso none: every slurmd in this namespace (works unprivileged); ns: own UTS, mount and PID namespace a node (own
# host name, /tmp, /dev/shm; also rootless where user namespaces are allowed); net: ns and an own network namespace
# on a bridge (root only). Default: ns for root, none otherwise.
set -u

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SELF=$HERE/$(basename "${BASH_SOURCE[0]}")

die() {
  echo "slurmbox: $*" >&2
  exit 1
}

[ $# -ge 2 ] || die "usage: see the head of $0"
cmd=$1 DIR=$2
shift 2
mkdir -p "$DIR" || die "cannot make $DIR"
DIR=$(cd "$DIR" && pwd -P)
cd / || exit 1
export SLURM_CONF=$DIR/slurm.conf PATH=$PATH:/usr/sbin:/sbin

# Of the box that is up; box.conf holds them between calls.
ISO=none BR="" NET="" NODES=2 AUTH=munge FASTTICK_SO=""

load_conf() {
  # shellcheck source=/dev/null
  . "$DIR/box.conf"
}

# --- processes ---------------------------------------------------------------------------------------------------

alive() {   # kill -0 also succeeds on a zombie
  [ -n "${1:-}" ] && [ -d "/proc/$1" ] && ! grep -q '^State:.[ZX]' "/proc/$1/status" 2>/dev/null
}

wait_gone() {   # PID SECONDS
  local tries=$(($2 * 20))
  while alive "$1" && [ "$tries" -gt 0 ]; do
    sleep 0.05
    tries=$((tries - 1))
  done
  ! alive "$1"
}

stop_pid() {   # PID [SECONDS]: TERM, then KILL
  alive "$1" || return 0
  kill -TERM "$1" 2>/dev/null
  wait_gone "$1" "${2:-5}" || kill -KILL "$1" 2>/dev/null
  wait_gone "$1" 2
}

has_environment() {   # PID NAME=VALUE
  grep -qzxF "$2" "/proc/$1/environ" 2>/dev/null
}

pid_of() {   # the noted pid, if that process is still ours (a reused pid is not)
  local pid
  pid=$(cat "$DIR/pids/$1" 2>/dev/null) || return
  if [ -r "/proc/$pid/environ" ] && alive "$pid" && ! has_environment "$pid" "SLURMBOX_DAEMON=$DIR"; then
    return
  fi
  echo "$pid"
}

start_daemon() {   # NAME COMMAND...: detached, own session, pid noted; the marker finds stray descendants later
  local name=$1
  shift
  SLURMBOX_DAEMON=$DIR setsid "$@" </dev/null >>"$DIR/log/$name.out" 2>&1 &
  echo $! >"$DIR/pids/$name"
  disown
}

# Daemons carry SLURMBOX_DAEMON; job processes carry our SLURM_CONF and a SLURMD_NODENAME (clients have no such).
marked_pids() {
  local folder pid
  for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    [ "$pid" != $$ ] || continue
    if ! has_environment "$pid" "SLURMBOX_DAEMON=$DIR"; then
      has_environment "$pid" "SLURM_CONF=$DIR/slurm.conf" || continue
      grep -qz '^SLURMD_NODENAME=' "$folder/environ" 2>/dev/null || continue
    fi
    if alive "$pid"; then
      echo "$pid"
    fi
  done
}

children_of() {
  cat "/proc/$1/task/"*/children 2>/dev/null
}

descendants() {
  local child
  for child in $(children_of "$1"); do
    echo "$child"
    descendants "$child"
  done
}

slurmd_pid() {   # outer pid of the slurmd of node $1
  local pid child
  pid=$(pid_of "node.$1")
  if [ "$ISO" = none ]; then
    echo "$pid"
    return
  fi
  for child in $(descendants "$pid"); do
    if [ "$(cat "/proc/$child/comm" 2>/dev/null)" = slurmd ]; then
      echo "$child"
      return
    fi
  done
}

# --- nodes and controller ----------------------------------------------------------------------------------------

ctld_start() {
  start_daemon slurmctld env ${FASTTICK_SO:+"LD_PRELOAD=$FASTTICK_SO"} slurmctld -D -i
}

slurmd_restart() {   # the node lives, its slurmd was killed: a new slurmd inside
  local name=$1 inside options=(--mount --uts --pid)
  inside=$(descendants "$(pid_of "node.$name")" | head -n 1)
  [ "$(id -u)" = 0 ] || options+=(--user --preserve-credentials)
  [ "$ISO" != net ] || options+=(--net)
  SLURMBOX_DAEMON=$DIR setsid nsenter -t "$inside" "${options[@]}" slurmd -D -N "$name" \
    </dev/null >>"$DIR/log/node.$name.out" 2>&1 &
  echo $! >"$DIR/pids/slurmd2.$name"
}

node_network() {   # NAME: a veth pair between the bridge and the node's network namespace
  local name=$1 number=${1#node} outer inside=""
  outer=$(pid_of "node.$name")
  for _ in $(seq 100); do
    inside=$(children_of "$outer")
    inside=${inside%% *}
    if [ -n "$inside" ] && [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/self/ns/net)" ]; then
      break
    fi
    sleep 0.02
  done
  if ! { ip link add "$BR-$number" type veth peer name "$BR-p$number" &&
    ip link set "$BR-p$number" netns "$inside" &&
    ip link set "$BR-$number" master "$BR" up &&
    nsenter -t "$inside" --net ip link set "$BR-p$number" name eth0 &&
    nsenter -t "$inside" --net ip addr add "$NET.1$number/24" dev eth0 &&
    nsenter -t "$inside" --net ip link set eth0 up &&
    nsenter -t "$inside" --net ip link set lo up; }; then
    die "network of $name"
  fi
  : >"$DIR/run/net.$name"
}

node_start() {
  local name=$1 options=(--mount --uts --pid --fork --kill-child=KILL --mount-proc)
  if [ "$ISO" = none ]; then
    start_daemon "node.$name" slurmd -D -N "$name"
    return
  fi
  if alive "$(pid_of "node.$name")"; then
    slurmd_restart "$name"
    return
  fi
  rm -f "$DIR/run/net.$name"
  [ "$(id -u)" = 0 ] || options+=(--user --map-current-user --keep-caps)   # rootless: needs user namespaces
  [ "$ISO" != net ] || options+=(--net)
  start_daemon "node.$name" unshare "${options[@]}" bash "$SELF" _node "$DIR" "$name"
  [ "$ISO" != net ] || node_network "$name"
}

node_main() {   # pid 1 of a virtual node
  local name=$1 inner
  hostname "$name"
  mkdir -p "$DIR/nodes/$name/tmp"
  chmod 1777 "$DIR/nodes/$name/tmp"
  mount --make-rprivate /
  mount -t tmpfs -o mode=1777,size=2g tmpfs /dev/shm
  mount --bind "$DIR/hosts" /etc/hosts
  if [[ $DIR/ == /tmp/* ]]; then   # the box itself stays visible under the node's own /tmp
    inner=$DIR/nodes/$name/tmp/${DIR#/tmp/}
    mkdir -p "$inner"
    mount --bind "$DIR" "$inner"
  fi
  mount --rbind "$DIR/nodes/$name/tmp" /tmp
  cd / || exit 1
  if [ "$ISO" = net ]; then
    for _ in $(seq 200); do
      [ ! -e "$DIR/run/net.$name" ] || break
      sleep 0.02
    done
  fi
  slurmd -D -N "$name" &
  while :; do   # reaps what the node's processes leave behind
    if ! wait -n 2>/dev/null; then
      sleep 1000 &
      wait
    fi
  done
}

# --- configuration -----------------------------------------------------------------------------------------------

free_ports() {   # COUNT
  python3 - "$1" <<'PY'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in sockets])
PY
}

node_address() {
  if [ "$ISO" = net ]; then
    echo "$NET.1$1"
  else
    echo 127.0.0.1
  fi
}

write_conf() {   # GPUS CPUS: hosts, gres.conf, slurm.conf
  local gpus=$1 cpus=$2 control=127.0.0.1 host ports i auth nodes="" partitions
  host=$(hostname -s)
  [ "$ISO" != net ] || control=$NET.1
  read -r -a ports <<<"$(free_ports $((NODES + 1)))"
  {
    echo "127.0.0.1 localhost"
    echo "$control $host"
    for i in $(seq 1 "$NODES"); do
      echo "$(node_address "$i") node$i"
    done
  } >"$DIR/hosts"
  # File= must stat() as a character or block device; a symbolic link to /dev/null will do.
  for i in $(seq 0 $((gpus - 1))); do
    ln -sfn /dev/null "$DIR/dev/nvidia$i"
  done
  echo "NodeName=node[1-$NODES] Name=gpu Type=fake File=$DIR/dev/nvidia[0-$((gpus - 1))]" >"$DIR/gres.conf"
  for i in $(seq 1 "$NODES"); do
    nodes+="NodeName=node$i NodeHostname=node$i NodeAddr=$(node_address "$i") Port=${ports[$i]} CPUs=$cpus Boards=1"
    nodes+=" SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=16000 Gres=gpu:fake:$gpus State=UNKNOWN"$'\n'
  done
  partitions="PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes=ALL MaxTime=INFINITE DefaultTime=10 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=5
PartitionName=high Nodes=ALL MaxTime=INFINITE DefaultTime=10 State=UP PriorityTier=100 PreemptMode=OFF"
  auth="AuthType=auth/$AUTH
CredType=cred/$AUTH
AuthInfo=$([ "$AUTH" = none ] || echo "socket=$DIR/run/munge.socket,")cred_expire=5"
  sed -e "s|@DIR@|$DIR|g" -e "s|@HOST@|$host|g" -e "s|@CTL@|$control|g" -e "s|@USER@|$(id -un)|g" \
    -e "s|@CTLPORT@|${ports[0]}|g" "$HERE/slurm.conf.in" |
    awk -v auth="$auth" -v nodes="$nodes" -v partitions="$partitions" \
      '/^@AUTH@/ { print auth; next } /^@NODES@/ { print nodes; next } /^@PARTS@/ { print partitions; next } { print }' \
      >"$DIR/slurm.conf"
  # net: daemons and srun must listen on the bridge address, and No*InAddrAny would pick what our host name resolves to
  [ "$ISO" != net ] || sed -i '/^CommunicationParameters=/d' "$DIR/slurm.conf"
  [ -z "$FASTTICK_SO" ] || sed -i 's/^SlurmdTimeout=.*/SlurmdTimeout=60/' "$DIR/slurm.conf"
  [ -z "${SLURMBOX_EXTRA:-}" ] || printf '%s\n' "$SLURMBOX_EXTRA" >>"$DIR/slurm.conf"
}

start_munge() {
  [ -s "$DIR/munge/munge.key" ] || dd if=/dev/urandom of="$DIR/munge/munge.key" bs=128 count=1 2>/dev/null
  chmod 400 "$DIR/munge/munge.key"
  # --force: do not insist on the modes of parent directories
  start_daemon munged munged --foreground --force --key-file="$DIR/munge/munge.key" --socket="$DIR/run/munge.socket" \
    --pid-file="$DIR/munge/munged.pid" --seed-file="$DIR/munge/seed" --log-file="$DIR/log/munged.log"
  for _ in $(seq 100); do
    [ ! -S "$DIR/run/munge.socket" ] || break
    sleep 0.05
  done
}

make_bridge() {
  local number=$((1 + RANDOM % 250))
  BR=sb$number NET=10.213.$number
  if ! { ip link add "$BR" type bridge && ip addr add "$NET.1/24" dev "$BR" && ip link set "$BR" up; }; then
    die "no bridge"
  fi
}

idle_nodes() {
  sinfo -h -N -o '%t' -p main 2>/dev/null | grep -c '^idle$'
}

# --- commands ----------------------------------------------------------------------------------------------------

box_up() {
  local gpus=4 cpus=8 begin limit i
  [ "$(id -u)" != 0 ] || ISO=ns
  while [ $# -gt 0 ]; do
    case $1 in
      --nodes) NODES=$2; shift ;;
      --gpus) gpus=$2; shift ;;
      --cpus) cpus=$2; shift ;;
      --auth) AUTH=$2; shift ;;
      --iso) ISO=$2; shift ;;
      --fasttick) FASTTICK_SO=$DIR/run/fasttick.so ;;
      *) die "unknown option $1" ;;
    esac
    shift
  done
  if [ -f "$DIR/box.conf" ] && alive "$(pid_of slurmctld)"; then
    die "already up in $DIR"
  fi
  begin=$(date +%s.%N)
  mkdir -p "$DIR"/{log,run,pids,state,dev,munge,nodes}
  chmod 700 "$DIR/munge" "$DIR/state"
  for i in $(seq 1 "$NODES"); do
    mkdir -p "$DIR/spool.node$i" "$DIR/tmp.node$i"
    chmod 1777 "$DIR/tmp.node$i"
  done
  if [ -n "$FASTTICK_SO" ]; then
    gcc -O1 -shared -fPIC -o "$FASTTICK_SO" "$HERE/fasttick.c" -ldl || die "no gcc for --fasttick"
  fi
  [ "$ISO" != net ] || make_bridge
  printf 'ISO=%s BR=%s NET=%s AUTH=%s NODES=%s FASTTICK_SO=%s\n' \
    "$ISO" "$BR" "$NET" "$AUTH" "$NODES" "$FASTTICK_SO" >"$DIR/box.conf"
  write_conf "$gpus" "$cpus"
  [ "$AUTH" != munge ] || start_munge
  ctld_start
  for i in $(seq 1 "$NODES"); do
    node_start "node$i"
  done
  limit=$((SECONDS + 20))
  until [ "$(idle_nodes)" = "$NODES" ]; do
    if ! alive "$(pid_of slurmctld)" || [ "$SECONDS" -ge "$limit" ]; then
      tail -n 4 "$DIR"/log/*.log
      bash "$SELF" down "$DIR"
      die "slurmctld died or nodes not idle in 20 s"
    fi
    sleep 0.1
  done
  echo "slurmbox up in $(echo "$(date +%s.%N) - $begin" | bc) s (iso=$ISO DIR=$DIR)"
}

box_env() {
  local exports="SLURM_CONF=$DIR/slurm.conf OMPI_MCA_mpi_yield_when_idle=1"
  [ "$ISO" != none ] || exports+=" OMPI_MCA_btl=self,tcp"
  [ "$(id -u)" != 0 ] || exports+=" OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"
  echo "export $exports"
}

node_crash() {
  local pid victims=()
  if [ "$ISO" != none ]; then
    kill -KILL "$(pid_of "node.$1")"
    return
  fi
  for pid in $(marked_pids); do
    if has_environment "$pid" "SLURMD_NODENAME=$1"; then
      victims+=("$pid")
    fi
  done
  mapfile -t -O "${#victims[@]}" victims < <(descendants "$(pid_of "node.$1")")
  kill -KILL "$(pid_of "node.$1")" "${victims[@]}" 2>/dev/null
}

stop_daemons() {
  local file name pid
  for file in "$DIR"/pids/slurmd2.* "$DIR"/pids/node.* "$DIR"/pids/slurmctld "$DIR"/pids/munged; do
    [ -f "$file" ] || continue
    name=${file##*/}
    pid=$(pid_of "$name")
    if [ -n "$pid" ] && [[ $name == node.* && $ISO != none ]]; then
      kill -KILL "$pid" 2>/dev/null   # the kernel takes the whole PID namespace along
      wait_gone "$pid" 3
    elif [ -n "$pid" ]; then
      stop_pid "$pid" 8
    fi
    rm -f "$file"
  done
}

box_down() {
  local begin left=() pid link
  begin=$(date +%s.%N)
  if [ ! -f "$DIR/box.conf" ]; then
    echo "slurmbox: nothing in $DIR"
    return
  fi
  load_conf
  if alive "$(pid_of slurmctld)"; then
    timeout 5 scancel --user="$(id -un)" 2>/dev/null
    for _ in $(seq 40); do
      [ -n "$(timeout 5 squeue -h 2>/dev/null)" ] || break
      sleep 0.1
    done
  fi
  stop_daemons
  mapfile -t left < <(marked_pids)
  for pid in "${left[@]}"; do
    echo "slurmbox: killing what was left: $pid $(cat "/proc/$pid/comm" 2>/dev/null)" >&2
    kill -KILL "$pid" 2>/dev/null
  done
  if [ -n "$BR" ] && ip link show "$BR" >/dev/null 2>&1; then
    for link in /sys/class/net/"$BR"-*; do
      [ ! -e "$link" ] || ip link del "${link##*/}"
    done
    ip link del "$BR"
  fi
  rm -f "$DIR/box.conf"
  echo "slurmbox down in $(echo "$(date +%s.%N) - $begin" | bc) s"
}

case $cmd in
  _node) load_conf; node_main "$1" ;;
  up) box_up "$@" ;;
  env) load_conf; box_env ;;
  node-start) load_conf; node_start "$1" ;;
  node-crash) load_conf; node_crash "$1" ;;
  slurmd-kill) load_conf; kill -KILL "$(slurmd_pid "$1")" ;;
  ctld-stop) stop_pid "$(pid_of slurmctld)" 10 ;;
  ctld-kill) kill -KILL "$(pid_of slurmctld)" ;;
  ctld-start) load_conf; ctld_start ;;
  link) load_conf; ip link set "$BR-${1#node}" "$2" ;;
  down) box_down ;;
  *) die "unknown command $cmd" ;;
esac
