#!/bin/sh
# answers.sh MODULE: starts prongd with the module on a free port of the loopback, asks it with curl, and ends it.
set -eu
module=$(realpath "$1")
folder=$(mktemp -d)
master=
finish() {
  status=$?
  [ -z "$master" ] || { kill "$master" && wait "$master" || status=1; }
  [ "$status" -eq 0 ] || cat "$folder/log" >&2
  rm -rf "$folder"
  exit "$status"
}
trap finish EXIT

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
  kill -0 "$master" && [ "$tries" -lt 300 ] || { master=; exit 1; }
  tries=$((tries + 1))
  sleep 0.1
done
address=$(sed -n 's/.*listening on \([^ ]*\) for pool greeter.*/\1/p' "$folder/log")

# expect ANSWER CURL-ARGUMENTS...
expect() {
  wanted=$1
  shift
  got=$(curl --silent --show-error "$@")
  [ "$got" = "$wanted" ] || { echo "wanted: $wanted, got: $got" >&2; exit 1; }
}
expect "good day world" "http://$address/"
expect "good day moon" "http://$address/?name=moon"
expect "405" --output /dev/null --write-out '%{http_code}' --request POST "http://$address/"
