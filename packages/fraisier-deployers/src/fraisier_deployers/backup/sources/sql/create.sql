CREATE DATABASE :"name" TEMPLATE template0 ENCODING :'encoding' LC_COLLATE :'lc_collate' LC_CTYPE :'lc_ctype';
COMMENT ON DATABASE :"name" IS :'comment';
