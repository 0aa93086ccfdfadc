-- A chunk of an artifact has the size of one row in one page (database/artifacts.py cuts them so): Postgres need not store
-- the bytes out of line, which costs a second look-up for each of them.
ALTER TABLE lockgate_artifacts.chunks SET (toast_tuple_target = 8160);
