"""Records: what comes in (`Interaction`) and what the classifiers say of it (`Verdict`)."""

from monitor.records.artifact import artifact_id
from monitor.records.formats import Format, Limits, Malformed, Reason, parse
from monitor.records.hazards import GROUP_OF_HAZARD, GROUPS, HAZARDS, OTHER_GROUP
from monitor.records.interaction import Interaction
from monitor.records.keys import keys_of
from monitor.records.verdict import KeyColumn, Outcome, Verdict, VerdictBatch, format_time

__all__ = [
    "GROUPS",
    "GROUP_OF_HAZARD",
    "HAZARDS",
    "OTHER_GROUP",
    "Format",
    "Interaction",
    "KeyColumn",
    "Limits",
    "Malformed",
    "Outcome",
    "Reason",
    "Verdict",
    "VerdictBatch",
    "artifact_id",
    "format_time",
    "keys_of",
    "parse",
]
