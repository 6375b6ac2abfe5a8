#!/usr/bin/env bash
# nginx with WebDAV as an HTTP cache on loopback, everybody may read, ci:s3cret may write: http-cache.sh present | install | start FOLDER PORT TLSPORT | stop FOLDER
set -euo pipefail
alive() { case "$(ps -o stat= -p "$1" 2>/dev/null)" in '' | Z*) return 1 ;; esac; }

case "$1" in
present) [ -x /usr/sbin/nginx ] && command -v curl >/dev/null && command -v openssl >/dev/null ;;
install) DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light curl openssl procps >/dev/null ;;
start)
  folder=$2 port=$3 tls=$4
  mkdir -p "$folder/data/cas" "$folder/data/ac" "$folder/tmp"
  [ -f "$folder/htpasswd" ] || printf 'ci:%s\n' "$(openssl passwd -apr1 s3cret)" >"$folder/htpasswd"
  [ -f "$folder/tls.crt" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>/dev/null
  # A folder that mktemp made is its owner's alone, and nginx's workers have to get in.
  user=$(id -un)
  cat >"$folder/nginx.conf" <<C
$([ "$(id -u)" = 0 ] && echo "user $user;")
worker_processes 1;
pid $folder/pid;
error_log $folder/error.log;
events { worker_connections 256; }
http {
  access_log $folder/access.log;
  client_max_body_size 0;
  client_body_temp_path $folder/tmp; proxy_temp_path $folder/tmp/p; fastcgi_temp_path $folder/tmp/f; uwsgi_temp_path $folder/tmp/u; scgi_temp_path $folder/tmp/s;
  server {
    listen 127.0.0.1:$port;
    listen 127.0.0.1:$tls ssl;
    ssl_certificate $folder/tls.crt; ssl_certificate_key $folder/tls.key;
    root $folder/data;
    location = /status { return 200 "ok\n"; }
    location ~ "^/(ac|cas)/[0-9a-f]{64}\$" {
      dav_methods PUT;
      create_full_put_path on;
      dav_access user:rw;
      limit_except GET HEAD { auth_basic cache; auth_basic_user_file $folder/htpasswd; }
    }
    location / { return 400; }
  }
}
C
  /usr/sbin/nginx -e "$folder/error.log" -c "$folder/nginx.conf"
  for _ in $(seq 50); do
    curl -fsS -o /dev/null "http://127.0.0.1:$port/status" 2>/dev/null && { echo ready; exit 0; }
    sleep 0.1
  done
  tail "$folder/error.log" >&2
  exit 1
  ;;
stop | kill)
  [ -f "$2/pid" ] || exit 0
  pid=$(cat "$2/pid")
  workers=$(ps -o pid= --ppid "$pid" || true)
  if [ "$1" = kill ]; then kill -9 "$pid" $workers 2>/dev/null || true; else kill -QUIT "$pid" 2>/dev/null || true; fi
  # The workers hold its ports.
  for process in $pid $workers; do while alive "$process"; do sleep 0.05; done; done
  rm -f "$2/pid"
  ;;
*) echo "usage: $0 present | install | start FOLDER PORT TLSPORT | stop FOLDER | kill FOLDER" >&2; exit 2 ;;
esac
