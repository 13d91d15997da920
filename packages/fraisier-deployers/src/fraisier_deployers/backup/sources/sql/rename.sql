ALTER DATABASE :"restored" RENAME TO :"name";
