# For the scripts in this folder: starts a temporary Postgres in $work, and sets $postgres to its address.
chmod 711 "$work" # the user postgres must be able to traverse it
cluster='' owner=$(id -un) name=$(basename "$0")

stop_postgres() { [ -z "$cluster" ] || as_owner "$bin/pg_ctl" -D "$cluster" -m immediate -w stop >/dev/null; }

# Runs a command as the owner of the cluster: Postgres refuses to run as root.
as_owner() {
  if [ "$(id -u)" = 0 ]; then
    (cd "$work" && setpriv --reuid="$owner" --regid="$owner" --clear-groups "$@")
  else
    "$@"
  fi
}

start_postgres() {
  # Debian installs Postgres outside PATH, with one folder per version. This takes the newest.
  bin=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1) || true
  [ -n "$bin" ] || bin=$(command -v initdb) || { echo "$name: no Postgres found: apt-get install postgresql" >&2; exit 1; }
  bin=$(dirname "$bin")
  local data=$work/postgres/data port
  mkdir "$work/postgres"
  printf bench >"$work/password"
  if [ "$(id -u)" = 0 ]; then
    owner=postgres
    chown postgres: "$work/postgres" "$work/password"
  fi
  as_owner "$bin/initdb" -D "$data" -U bench --pwfile="$work/password" -A scram-sha-256 -E UTF8 --no-sync >/dev/null
  for _ in {1..20}; do
    port=$((20000 + RANDOM % 12000)) # below the ephemeral ports of the kernel
    if as_owner "$bin/pg_ctl" -D "$data" -l "$work/postgres/log" -w -o "-p $port -c listen_addresses=127.0.0.1 \
      -c unix_socket_directories=" start >/dev/null 2>&1; then
      cluster=$data
      postgres=postgres://bench:bench@127.0.0.1:$port/postgres
      return
    fi
  done
  cat "$work/postgres/log" >&2
  exit 1
}
