"""Run directories: what they hold, how a stopped run resumes, and ledgers of several runs."""
