#!/bin/sh
# Run by `meson install`: puts the configuration in place unless there is one, which is the operator's and stays.
# $1: the made file, $2: the directory it belongs to.
set -eu
folder=${DESTDIR:-}$2
if [ -e "$folder/prongd.toml" ]; then
  echo "keeping $folder/prongd.toml"
  exit 0
fi
mkdir -p "$folder"
install -m 0644 "$1" "$folder/prongd.toml"
echo "installing $folder/prongd.toml"
