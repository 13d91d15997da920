-- Puts a restored database in the place of another, which is dropped at last.
ALTER DATABASE :"replaced" RENAME TO :"aside";
ALTER DATABASE :"restored" RENAME TO :"replaced";
COMMENT ON DATABASE :"replaced" IS NULL;
DROP DATABASE :"aside" WITH (FORCE);
