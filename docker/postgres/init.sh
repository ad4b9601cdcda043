#!/bin/sh
# Run once, when the volume is empty: a database that belongs to Skald, and an account that is no superuser.
set -eu
# The password comes over standard input: arguments can be seen by everybody.
{
  printf '%s\n' "\\set password '$SKALD_DB_PASSWORD'"
  cat <<'SQL'
CREATE ROLE skald LOGIN PASSWORD :'password';
CREATE DATABASE skald OWNER skald ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE skald FROM PUBLIC;
SQL
} | psql -v ON_ERROR_STOP=1 --no-psqlrc --username "${POSTGRES_USER:-postgres}" --dbname postgres
