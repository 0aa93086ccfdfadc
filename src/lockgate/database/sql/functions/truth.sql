-- The truth in force of a model: the rows that no later row corrects. Postgres takes the query into the one that calls the
-- function, because nothing is set here.
CREATE OR REPLACE FUNCTION lockgate.truth_in_force(of_model text) RETURNS SETOF lockgate.truth
LANGUAGE sql STABLE AS $$
    SELECT truth.*
    FROM lockgate.truth AS truth
    WHERE truth.model = of_model
      AND NOT EXISTS (SELECT FROM lockgate.truth AS later WHERE later.corrects OPERATOR(pg_catalog.=) truth.id)
$$;
