"""Postgres, and nothing of it elsewhere: the connection, its migrations, and a file for each thing that is kept there.

In import order: failures, connection; then records (versions, stages), verdicts, policies, approvals, intents, ledger;
guard.
"""
