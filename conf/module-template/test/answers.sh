#!/bin/sh
# answers.sh MODULE: starts prongd with the module on a free port of the loopback, asks it with curl, and ends it.
set -eu
module=$(realpath "$1")
folder=$(mktemp -d)
master=
finish() {
  status=$?
  trap '' HUP INT TERM
  if [ -n "$master" ]; then
    { kill "$master" && wait "$master"; } || [ "$status" -ne 0 ] || status=1
  fi
  [ "$status" -eq 0 ] || cat "$folder/log" >&2
  rm -rf "$folder"
  exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

cat >"$folder/prongd.toml" <<TOML
[log]
target = "stderr"
[pool.greeter]
listen = ["127.0.0.1:0"]
workers = 2
module = { path = "$module", options = { greeting = "good day" } }
TOML
RUNTIME_DIRECTORY=$folder "${PRONGD:-prongd}" --config "$folder/prongd.toml" 2>"$folder/log" &
master=$!
tries=0
until grep -q 'ready: generation 1' "$folder/log"; do
  kill -0 "$master" || { master=; exit 1; }
  [ "$tries" -lt 300 ] || { echo "prongd was not ready in time" >&2; exit 1; }
  tries=$((tries + 1))
  sleep 0.1
done
address=$(sed -n 's/.*listening on \([^ ]*\) for pool greeter.*/\1/p' "$folder/log")

# expect ANSWER CURL-ARGUMENTS...
expect() {
  wanted=$1
  shift
  got=$(curl --silent --show-error --max-time 20 "$@")
  [ "$got" = "$wanted" ] || { echo "wanted: $wanted, got: $got" >&2; exit 1; }
}
expect "good day world" "http://$address/"
expect "good day moon" "http://$address/?name=moon"
expect "405" --output /dev/null --write-out '%{http_code}' --request POST "http://$address/"
