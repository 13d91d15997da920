-- Creates a database as another was. Before version 15, there is one provider of locales.
SELECT format(
    'CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L %s',
    :'name', :'encoding', :'lc_collate', :'lc_ctype',
    CASE
        WHEN current_setting('server_version_num')::integer < 150000 THEN ''
        WHEN :'locale_provider' = 'i' THEN format('LOCALE_PROVIDER icu ICU_LOCALE %L', :'locale')
        WHEN :'locale_provider' = 'b' THEN format('LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', :'locale')
        ELSE 'LOCALE_PROVIDER libc'
    END
)
\gexec
COMMENT ON DATABASE :"name" IS :'comment';
