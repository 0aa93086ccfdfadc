-- The triggers of the guard, in the form in which Postgres shows them. `lockgate guard install` puts them on.

-- The capitals make the first two fire before the trigger that records the stage change: their refusals come first.
CREATE CONSTRAINT TRIGGER "Lockgate_guard_versions" AFTER INSERT OR DELETE OR UPDATE ON public.model_versions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.guard_versions();
CREATE CONSTRAINT TRIGGER "Lockgate_single_production" AFTER INSERT OR UPDATE ON public.model_versions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.one_production();
CREATE TRIGGER lockgate_refuse_truncate BEFORE TRUNCATE ON public.model_versions FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_truncate();
CREATE CONSTRAINT TRIGGER lockgate_guard_aliases AFTER INSERT OR DELETE OR UPDATE ON public.registered_model_aliases DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.guard_aliases();
CREATE CONSTRAINT TRIGGER guard_moves AFTER INSERT ON lockgate.ledger DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.guard_moves();
CREATE CONSTRAINT TRIGGER lockgate_guard_runs AFTER DELETE OR UPDATE ON public.runs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.guard_runs();
CREATE CONSTRAINT TRIGGER lockgate_guard_logged_models AFTER DELETE OR UPDATE ON public.logged_models DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.guard_logged_models();
CREATE CONSTRAINT TRIGGER lockgate_guard_version_tags AFTER INSERT OR DELETE OR UPDATE ON public.model_version_tags DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.guard_version_tags();
