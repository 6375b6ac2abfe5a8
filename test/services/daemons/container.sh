#!/usr/bin/env bash
# Charliecloud, which runs containers on clusters without privileges: container.sh present | install | start FOLDER | stop FOLDER.
# No daemon: `start` makes the image FOLDER/image. Its programs are this machine's, and its /etc is its own.
set -euo pipefail
options=(-b /usr:/usr)

case "$1" in
present) command -v ch-run >/dev/null && unshare --user --mount true 2>/dev/null ;;
install) DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends charliecloud-runtime >/dev/null ;;
start)
  image=$2/image
  mkdir -p "$image"/{usr,etc,dev,proc,sys,tmp,home,root,var,run,mnt}
  # As they are here: links into /usr, or folders to be bound as well.
  for name in bin sbin lib lib64; do
    if [ -L "/$name" ]; then cp -P "/$name" "$image/$name"; elif [ -d "/$name" ]; then mkdir "$image/$name" && options+=(-b "/$name:/$name"); fi
  done
  cp /etc/passwd /etc/group "$image/etc/"
  touch "$image/etc/hosts" "$image/etc/resolv.conf"
  echo 'an image of the tests' >"$image/etc/image-name"
  echo "ch-run ${options[*]} $image --" >"$2/command"
  USER=${USER:-$(id -un)} ch-run "${options[@]}" "$image" -- true
  echo ready
  ;;
stop) ;;
*) echo "usage: $0 present | install | start FOLDER | stop FOLDER" >&2; exit 2 ;;
esac
