-- Triggers that record and keep records, in the form in which Postgres shows them. They stay when the guard is removed.
-- Those on MLflow's tables name no column (no UPDATE OF, no WHEN): Postgres would refuse MLflow's migrations of such a
-- column. They are deferred to the commit, where the whole of MLflow's move is seen: the version that it archives and the
-- version that takes its place.

CREATE CONSTRAINT TRIGGER lockgate_record_stage_change AFTER UPDATE ON public.model_versions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.record_stage_change();
CREATE CONSTRAINT TRIGGER lockgate_record_approval AFTER INSERT OR DELETE OR UPDATE ON public.model_version_tags DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lockgate.record_tagged_approval();

CREATE TRIGGER chain_ledger_row BEFORE INSERT ON lockgate.ledger FOR EACH ROW EXECUTE FUNCTION lockgate.chain_ledger_row();
CREATE TRIGGER keep_ledger_head AFTER INSERT ON lockgate.ledger FOR EACH ROW EXECUTE FUNCTION lockgate.keep_ledger_head();
CREATE TRIGGER tell_of_production AFTER INSERT ON lockgate.ledger FOR EACH ROW EXECUTE FUNCTION lockgate.tell_of_production();
CREATE TRIGGER tell_of_share AFTER INSERT ON lockgate.serving_shares FOR EACH ROW EXECUTE FUNCTION lockgate.tell_of_share();
CREATE TRIGGER take_approval_off_the_page AFTER INSERT ON lockgate.verdicts FOR EACH ROW EXECUTE FUNCTION lockgate.take_approval_off_the_page();
CREATE TRIGGER cover_registered_model AFTER INSERT ON lockgate.versions FOR EACH ROW EXECUTE FUNCTION lockgate.cover_registered_model();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.ledger FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.versions FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.verdicts FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.approvals FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.policies FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.policy_changes FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.guard_changes FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.definitions FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.serving_shares FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON lockgate.truth FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON lockgate.predictions FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON lockgate.ledger_heads FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
