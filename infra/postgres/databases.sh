#!/bin/sh
# Make a database for each service, and a role that owns it and may connect to no other.
#
# PostgreSQL of docker-compose.yml runs this at its first start. You can run it again: it sets the
# passwords, and gives each service the tables of an installation where one role owned all.
# The passwords are in POSTGRES_INGEST_PASSWORD, POSTGRES_EXTRACTION_PASSWORD, …; the server, its
# administrator and that one's password in PGHOST, PGUSER and PGPASSWORD.
set -eu
export PGUSER="${PGUSER:-${POSTGRES_USER:-postgres}}"

for service in ingest extraction triage review escalation; do
    variable="POSTGRES_$(echo "$service" | tr a-z A-Z)_PASSWORD"
    eval ": \"\${$variable:?is empty: set it in .env}\""
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set service="$service" \
        --set variable="$variable" --dbname postgres <<'SQL'
SET client_min_messages = warning;
\getenv password :variable
SELECT format('CREATE ROLE %I', :'service')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'service') \gexec
ALTER ROLE :"service" LOGIN PASSWORD :'password';
-- So that an administrator who is no superuser can make a database for it.
GRANT :"service" TO CURRENT_USER;

SELECT format('CREATE DATABASE %I OWNER %I', :'service', :'service')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'service') \gexec
ALTER DATABASE :"service" OWNER TO :"service";

SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname)
FROM pg_database WHERE datallowconn AND pg_has_role(datdba, 'USAGE') \gexec

\connect :"service"
SET client_min_messages = warning;
SELECT format('ALTER TABLE %s OWNER TO %I', oid::regclass, :'service') FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \gexec
-- Functions, except those of an extension.
SELECT format('ALTER ROUTINE %s OWNER TO %I', oid::regprocedure, :'service') FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
AND oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e') \gexec
SQL
done
