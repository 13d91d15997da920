-- Lets this database be connected to again, if a restore that was killed kept all from it.
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database
WHERE datname = :'name' AND NOT datallowconn
    AND EXISTS (SELECT FROM pg_database WHERE datname ~ :'restoring')
\gexec
