#!/usr/bin/env bash
# Installs the daemons that the tests in this folder start on loopback: all of daemons/, or those named (`setup.sh sshd slurm`).
# Debian or Ubuntu, as root. Nothing is left running: each test file starts what it needs, in a folder and on ports of its own.
set -euo pipefail
cd "$(dirname "$0")/daemons"
[ $# -gt 0 ] || set -- $(ls -- *.sh | sed 's/\.sh$//')
apt-get update -qq
for name in "$@"; do
  "./$name.sh" present && { echo "$name: there already"; continue; }
  "./$name.sh" install
  "./$name.sh" present || { echo "$name: could not be installed" >&2; exit 1; }
done
