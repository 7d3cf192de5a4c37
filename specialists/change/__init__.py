"""Specialists that review a change in git: read it, lint it, search it for secrets, measure its functions, judge its
risk, publish a report.

Six names, no key, no network. They need git, and `statecore[change]` for ruff and unidiff.
"""

from specialists.change.assemble import assemble_review as assemble_review
from specialists.change.contracts import BranchReport as BranchReport
from specialists.change.contracts import Change as Change
from specialists.change.contracts import ChangeRequest as ChangeRequest
from specialists.change.contracts import FileChange as FileChange
from specialists.change.contracts import Finding as Finding
from specialists.change.contracts import LintReport as LintReport
from specialists.change.contracts import Published as Published
from specialists.change.contracts import Report as Report
from specialists.change.contracts import Review as Review
from specialists.change.contracts import RiskReport as RiskReport
from specialists.change.contracts import SecretReport as SecretReport
from specialists.change.lint import lint_change as lint_change
from specialists.change.publish import publish_report as publish_report
from specialists.change.read import read_change as read_change
from specialists.change.risk import judge_risk as judge_risk
from specialists.change.risk import measure_branches as measure_branches
from specialists.change.risk import search_secrets as search_secrets
