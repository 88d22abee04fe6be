#!/bin/sh
# A whole copy of both database servers and of the anchors, checked, in a folder named for the moment.
set -eu
target="/backups/$(date -u +%Y-%m-%dT%H%M%SZ)"
mkdir -p "$target.part"
for server in postgres timescale; do
    if [ "$server" = postgres ]; then PGPASSWORD="$POSTGRES_PASSWORD"; else PGPASSWORD="$TIMESCALE_PASSWORD"; fi
    export PGPASSWORD
    pg_basebackup --host "$server" --pgdata "$target.part/$server" --wal-method stream --checkpoint fast --progress
    # The tool of version 18 reads the manifest of both.
    pg_verifybackup --no-parse-wal "$target.part/$server"
done
cp -a /anchors "$target.part/anchors"
sync
mv "$target.part" "$target"
echo "$target"
