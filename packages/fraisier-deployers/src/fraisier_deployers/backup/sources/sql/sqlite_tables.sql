-- The tables whose rows are counted: a virtual one needs its module, and keeps its rows in tables of its own.
SELECT name FROM sqlite_schema
WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND sql NOT LIKE 'CREATE VIRTUAL%'
ORDER BY name;
