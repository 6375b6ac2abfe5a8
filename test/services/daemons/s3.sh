#!/usr/bin/env bash
# An S3 server (versitygw) on loopback: s3.sh present | install | start FOLDER PORT | stop FOLDER. Access key testkey123, secret testsecret123.
set -euo pipefail
alive() { case "$(ps -o stat= -p "$1" 2>/dev/null)" in '' | Z*) return 1 ;; esac; }
version=v1.8.0
# Of Go, to compile it.
needs=1.25.0
# Compiling takes more than a minute: kept for other checkouts and the next time.
binary="${PIPE_TEST_PROGRAMS:-${XDG_CACHE_HOME:-$HOME/.cache}/pipe-test-programs}/versitygw-$version"

case "$1" in
present) [ -x "$binary" ] && command -v curl >/dev/null ;;
install)
  command -v curl >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl >/dev/null
  command -v go >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go ca-certificates >/dev/null
  go=go
  if ! printf '%s\n' "$needs" "$(go env GOVERSION | sed 's/^go//')" | sort -CV; then
    # Debian's is older than the server asks for. A newer one is a module like any other, but for its programs' permissions.
    toolchain=$(GOFLAGS=-modcacherw go mod download -json "golang.org/toolchain@v0.0.1-go$needs.$(go env GOOS)-$(go env GOARCH)" | sed -n 's/^.*"Dir": "\(.*\)",$/\1/p')
    chmod -R u+x "$toolchain/bin" "$toolchain/pkg/tool"
    go=$toolchain/bin/go
  fi
  made=$(mktemp -d)
  GOBIN="$made" GOTOOLCHAIN=local "$go" install -ldflags='-s -w' "github.com/versity/versitygw/cmd/versitygw@$version"
  mkdir -p "$(dirname "$binary")"
  mv "$made/versitygw" "$binary.$$" && mv "$binary.$$" "$binary"
  ;;
start)
  folder=$2 port=$3
  mkdir -p "$folder/data/results"
  ROOT_ACCESS_KEY=testkey123 ROOT_SECRET_KEY=testsecret123 setsid nohup "$binary" --port "127.0.0.1:$port" --health /health --quiet posix "$folder/data" >"$folder/log" 2>&1 </dev/null &
  echo $! >"$folder/pid"
  for _ in $(seq 100); do
    curl -fsS -o /dev/null "http://127.0.0.1:$port/health" 2>/dev/null && { echo ready; exit 0; }
    sleep 0.1
  done
  tail "$folder/log" >&2
  exit 1
  ;;
stop | kill)
  [ -f "$2/pid" ] || exit 0
  pid=$(cat "$2/pid")
  [ "$1" = kill ] && kill -9 "$pid" 2>/dev/null || kill "$pid" 2>/dev/null || true
  while alive "$pid"; do sleep 0.05; done
  rm -f "$2/pid"
  ;;
*) echo "usage: $0 present | install | start FOLDER PORT | stop FOLDER | kill FOLDER" >&2; exit 2 ;;
esac
