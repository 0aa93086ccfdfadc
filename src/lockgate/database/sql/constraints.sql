-- The constraints of the tables, in the form in which Postgres shows them, so that `lockgate status` can compare.

ALTER TABLE lockgate.migrations ADD CONSTRAINT migrations_pkey PRIMARY KEY (number);

ALTER TABLE lockgate.definitions ADD CONSTRAINT definitions_pkey PRIMARY KEY (id);

ALTER TABLE lockgate.versions ADD CONSTRAINT versions_pkey PRIMARY KEY (model, version);
ALTER TABLE lockgate.versions ADD CONSTRAINT versions_model_bundle_digest_key UNIQUE (model, bundle_digest);
ALTER TABLE lockgate.versions ADD CONSTRAINT versions_bundle_digest_check CHECK ((bundle_digest ~ '^[0-9a-f]{64}$'::text));
ALTER TABLE lockgate.versions ADD CONSTRAINT versions_version_check CHECK ((version > 0));

ALTER TABLE lockgate.policies ADD CONSTRAINT policies_pkey PRIMARY KEY (digest);
ALTER TABLE lockgate.policies ADD CONSTRAINT policies_verdict_valid_days_check CHECK ((verdict_valid_days > 0));

ALTER TABLE lockgate.policy_changes ADD CONSTRAINT policy_changes_pkey PRIMARY KEY (id);
ALTER TABLE lockgate.policy_changes ADD CONSTRAINT policy_changes_policy_digest_fkey FOREIGN KEY (policy_digest) REFERENCES lockgate.policies(digest);

ALTER TABLE lockgate.verdicts ADD CONSTRAINT verdicts_pkey PRIMARY KEY (id);
ALTER TABLE lockgate.verdicts ADD CONSTRAINT verdicts_model_version_fkey FOREIGN KEY (model, version) REFERENCES lockgate.versions(model, version);
ALTER TABLE lockgate.verdicts ADD CONSTRAINT verdicts_check CHECK (((outcome <> 'passed'::text) OR (jsonb_array_length(checks) > 0)));
ALTER TABLE lockgate.verdicts ADD CONSTRAINT verdicts_outcome_check CHECK ((outcome = ANY (ARRAY['passed'::text, 'refused'::text, 'inconclusive'::text])));

ALTER TABLE lockgate.approvals ADD CONSTRAINT approvals_pkey PRIMARY KEY (id);
ALTER TABLE lockgate.approvals ADD CONSTRAINT approvals_model_version_fkey FOREIGN KEY (model, version) REFERENCES lockgate.versions(model, version);
ALTER TABLE lockgate.approvals ADD CONSTRAINT approvals_verdict_id_fkey FOREIGN KEY (verdict_id) REFERENCES lockgate.verdicts(id);
ALTER TABLE lockgate.approvals ADD CONSTRAINT approvals_check CHECK (((decision <> 'approved'::text) OR (verdict_id IS NOT NULL)));
ALTER TABLE lockgate.approvals ADD CONSTRAINT approvals_decision_check CHECK ((decision = ANY (ARRAY['approved'::text, 'rejected'::text, 'withdrawn'::text])));

ALTER TABLE lockgate.intents ADD CONSTRAINT intents_pkey PRIMARY KEY (id);

ALTER TABLE lockgate.ledger ADD CONSTRAINT ledger_pkey PRIMARY KEY (model, seq);
ALTER TABLE lockgate.ledger ADD CONSTRAINT ledger_approval_id_fkey FOREIGN KEY (approval_id) REFERENCES lockgate.approvals(id);
ALTER TABLE lockgate.ledger ADD CONSTRAINT ledger_intent_id_fkey FOREIGN KEY (intent_id) REFERENCES lockgate.intents(id);
ALTER TABLE lockgate.ledger ADD CONSTRAINT ledger_verdict_id_fkey FOREIGN KEY (verdict_id) REFERENCES lockgate.verdicts(id);

ALTER TABLE lockgate.ledger_heads ADD CONSTRAINT ledger_heads_pkey PRIMARY KEY (model);

ALTER TABLE lockgate.legal_moves ADD CONSTRAINT legal_moves_pkey PRIMARY KEY (from_stage, to_stage, command);

ALTER TABLE lockgate.guard_changes ADD CONSTRAINT guard_changes_pkey PRIMARY KEY (id);
ALTER TABLE lockgate.guard_changes ADD CONSTRAINT guard_changes_change_check CHECK ((change = ANY (ARRAY['installed'::text, 'removed'::text, 'covered'::text, 'uncovered'::text, 'opened'::text, 'closed'::text])));
ALTER TABLE lockgate.guard_changes ADD CONSTRAINT guard_changes_model_check CHECK (((model IS NOT NULL) = (change = ANY (ARRAY['covered'::text, 'uncovered'::text]))));

ALTER TABLE lockgate.in_production ADD CONSTRAINT in_production_pkey PRIMARY KEY (model);

ALTER TABLE lockgate.predictions ADD CONSTRAINT predictions_pkey PRIMARY KEY (at, request_id, "row", role);
ALTER TABLE lockgate.predictions ADD CONSTRAINT predictions_role_check CHECK ((role = ANY (ARRAY['served'::text, 'canary'::text, 'shadow'::text, 'batch'::text])));

ALTER TABLE lockgate.truth ADD CONSTRAINT truth_pkey PRIMARY KEY (id);
ALTER TABLE lockgate.truth ADD CONSTRAINT truth_corrects_fkey FOREIGN KEY (corrects) REFERENCES lockgate.truth(id);
ALTER TABLE lockgate.truth ADD CONSTRAINT truth_check CHECK (((value IS NULL) <> (class IS NULL)));
ALTER TABLE lockgate.truth ADD CONSTRAINT truth_request_check CHECK (((request_id IS NULL) = ("row" IS NULL)));

ALTER TABLE lockgate_artifacts.blobs ADD CONSTRAINT blobs_pkey PRIMARY KEY (digest);
ALTER TABLE lockgate_artifacts.blobs ADD CONSTRAINT blobs_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text));
ALTER TABLE lockgate_artifacts.blobs ADD CONSTRAINT blobs_size_check CHECK ((size >= 0));

ALTER TABLE lockgate_artifacts.chunks ADD CONSTRAINT chunks_pkey PRIMARY KEY (digest, number);
ALTER TABLE lockgate_artifacts.chunks ADD CONSTRAINT chunks_digest_fkey FOREIGN KEY (digest) REFERENCES lockgate_artifacts.blobs(digest) ON DELETE CASCADE;
ALTER TABLE lockgate_artifacts.chunks ADD CONSTRAINT chunks_number_check CHECK ((number >= 0));

ALTER TABLE lockgate_artifacts.files ADD CONSTRAINT files_pkey PRIMARY KEY (path);
ALTER TABLE lockgate_artifacts.files ADD CONSTRAINT files_digest_fkey FOREIGN KEY (digest) REFERENCES lockgate_artifacts.blobs(digest);
ALTER TABLE lockgate_artifacts.files ADD CONSTRAINT files_path_check CHECK (((path !~ '(^|/)\.{0,2}(/|$)'::text) AND (octet_length(path) <= 1024)));

ALTER TABLE lockgate.request_counts ADD CONSTRAINT request_counts_pkey PRIMARY KEY (model, minute, status);
ALTER TABLE lockgate.serving_shares ADD CONSTRAINT serving_shares_pkey PRIMARY KEY (id);
ALTER TABLE lockgate.serving_shares ADD CONSTRAINT serving_shares_stage_check CHECK ((stage = 'Staging'::text));
ALTER TABLE lockgate.serving_shares ADD CONSTRAINT serving_shares_share_check CHECK (((share >= 0) AND (share <= 100)));
