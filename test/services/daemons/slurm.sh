#!/usr/bin/env bash
# Slurm on one node with two made-up GPUs, as root and without systemd; its configuration is FOLDER/slurm.conf:
# slurm.sh present | install | start FOLDER CONTROLLER_PORT NODE_PORT [cgroup] | stop FOLDER | stop-controller FOLDER | restart-controller FOLDER
set -euo pipefail
alive() { case "$(ps -o stat= -p "$1" 2>/dev/null)" in '' | Z*) return 1 ;; esac; }

end() {
  [ -f "$1" ] || return 0
  local pid
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 100); do alive "$pid" || break; sleep 0.1; done
  alive "$pid" && kill -9 "$pid"
  rm -f "$1"
}

ready() {
  for _ in $(seq 200); do
    case "$(sinfo -h -o %T 2>/dev/null)" in idle | mixed | allocated) echo ready; exit 0 ;; esac
    sleep 0.1
  done
  tail -20 "$1"/log/*.log >&2
  exit 1
}

case "$1" in
present) command -v slurmctld slurmd munged sbatch >/dev/null && [ "$(id -u)" = 0 ] ;;
install) DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge procps >/dev/null ;;
start)
  folder=$2
  host=$(hostname -s)
  # With control groups Slurm keeps jobs within their memory; without, it runs anywhere.
  track=linuxproc task=none gather=linux
  [ "${5:-}" != cgroup ] || track=cgroup task=cgroup gather=cgroup
  memory=$(($(awk '/MemTotal/{print $2}' /proc/meminfo) / 1024 - 1024))
  mkdir -p "$folder"/{state,spool,log,munge,gpu,socket}
  chmod 755 "$folder" "$folder/socket"
  chmod 700 "$folder/munge"
  [ -f "$folder/munge/key" ] || dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
  chmod 400 "$folder/munge/key"
  munged --force --key-file="$folder/munge/key" --socket="$folder/socket/s" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" --num-threads=2
  # Devices of NVIDIA's number without a driver: they are counted and handed out, and nothing opens them.
  for i in 0 1; do [ -e "$folder/gpu/fake$i" ] || mknod "$folder/gpu/fake$i" c 195 $i; done
  cat >"$folder/slurm.conf" <<C
ClusterName=t
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$3
SlurmdPort=$4
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/socket/s
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/$track
TaskPlugin=task/$task
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=256
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=30
InactiveLimit=0
KillWait=2
MinJobAge=600
MaxArraySize=20001
MaxJobCount=25000
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1,requeue_delay=1
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/$gather
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory Gres=gpu:fake:2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=1
PartitionName=urgent Nodes=$host MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=10 PreemptMode=OFF
C
  printf 'AutoDetect=off\nNodeName=%s Name=gpu Type=fake File=%s\n' "$host" "$folder/gpu/fake[0-1]" >"$folder/gres.conf"
  printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\nConstrainRAMSpace=yes\n' >"$folder/cgroup.conf"
  export SLURM_CONF=$folder/slurm.conf
  slurmctld -c -f "$folder/slurm.conf"
  slurmd -c -f "$folder/slurm.conf" -N "$host"
  ready "$folder"
  ;;
stop-controller)
  end "$2/slurmctld.pid"
  ;;
restart-controller)
  export SLURM_CONF=$2/slurm.conf
  end "$2/slurmctld.pid"
  # Without -c: it goes on from its saved state.
  slurmctld -f "$2/slurm.conf"
  ready "$2"
  ;;
stop)
  export SLURM_CONF=$2/slurm.conf
  scancel -u root 2>/dev/null || true
  end "$2/slurmd.pid"
  end "$2/slurmctld.pid"
  end "$2/munge/pid"
  ;;
*) echo "usage: $0 present | install | start FOLDER CONTROLLER_PORT NODE_PORT | stop FOLDER | stop-controller FOLDER | restart-controller FOLDER" >&2; exit 2 ;;
esac
