#!/usr/bin/env bash
# sshd on loopback for this user, login by key: sshd.sh present | install | start FOLDER PORT | stop FOLDER
set -euo pipefail
alive() { case "$(ps -o stat= -p "$1" 2>/dev/null)" in '' | Z*) return 1 ;; esac; }

case "$1" in
present) [ -x /usr/sbin/sshd ] && command -v ssh >/dev/null && command -v rsync >/dev/null ;;
install) DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssh-server openssh-client rsync procps >/dev/null ;;
start)
  folder=$2 port=$3
  mkdir -p "$folder" /run/sshd
  chmod 700 "$folder"
  for key in hostkey id; do [ -f "$folder/$key" ] || ssh-keygen -q -t ed25519 -N '' -f "$folder/$key"; done
  cp "$folder/id.pub" "$folder/authorized_keys"
  echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$folder/hostkey.pub")" >"$folder/known_hosts"
  cat >"$folder/sshd_config" <<C
ListenAddress 127.0.0.1
Port $port
HostKey $folder/hostkey
PidFile $folder/pid
AuthorizedKeysFile $folder/authorized_keys
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PrintMotd no
UseDNS no
SetEnv SHLVL=1
MaxSessions 50
MaxStartups 100
C
  /usr/sbin/sshd -f "$folder/sshd_config" -E "$folder/log"
  for _ in $(seq 100); do
    ssh -F none -p "$port" -i "$folder/id" -o IdentitiesOnly=yes -o UserKnownHostsFile="$folder/known_hosts" -o BatchMode=yes 127.0.0.1 true 2>/dev/null && { echo ready; exit 0; }
    sleep 0.1
  done
  tail "$folder/log" >&2
  exit 1
  ;;
stop)
  [ -f "$2/pid" ] || exit 0
  pid=$(cat "$2/pid")
  kill "$pid" 2>/dev/null || true
  while alive "$pid"; do sleep 0.05; done
  rm -f "$2/pid"
  ;;
*) echo "usage: $0 present | install | start FOLDER PORT | stop FOLDER" >&2; exit 2 ;;
esac
