"""Detection: the statistics of drift. No input or output, no clock, no logging."""

from monitor.detection.baseline import Approval, Baseline, BaselineError
from monitor.detection.breadth import e_benjamini_hochberg
from monitor.detection.budget import EPOCH_SECONDS, Budget, BudgetLine
from monitor.detection.canaries import CanaryWatch, Trial
from monitor.detection.change import ChangeEstimate, ChangeTime
from monitor.detection.conditional import ConditionalSR, StratumCounts
from monitor.detection.counts import Epoch, EpochCounts, IntArray, RiskyAnswer
from monitor.detection.dedup import Deduplicated, day_of, deduplicate, event_keys
from monitor.detection.events import Events, bins_of, count, events_of
from monitor.detection.finding import (
    Breadth,
    Change,
    Event,
    Finding,
    GroupChange,
    Rate,
    Severity,
    Witness,
)
from monitor.detection.gauges import LaneGauges, Status
from monitor.detection.intervals import Difference, difference, wilson
from monitor.detection.lane import Closed, Lane
from monitor.detection.learning import EmptyWindowError, Window, is_armed, learn
from monitor.detection.shiryaev_roberts import ShiryaevRoberts
from monitor.detection.witnesses import Evidence, TwoWitnesses, WitnessCounts

__all__ = [
    "EPOCH_SECONDS",
    "Approval",
    "Baseline",
    "BaselineError",
    "Breadth",
    "Budget",
    "BudgetLine",
    "CanaryWatch",
    "Change",
    "ChangeEstimate",
    "ChangeTime",
    "Closed",
    "ConditionalSR",
    "Deduplicated",
    "Difference",
    "EmptyWindowError",
    "Epoch",
    "EpochCounts",
    "Event",
    "Events",
    "Evidence",
    "Finding",
    "GroupChange",
    "IntArray",
    "Lane",
    "LaneGauges",
    "Rate",
    "RiskyAnswer",
    "Severity",
    "ShiryaevRoberts",
    "Status",
    "StratumCounts",
    "Trial",
    "TwoWitnesses",
    "Window",
    "Witness",
    "WitnessCounts",
    "bins_of",
    "count",
    "day_of",
    "deduplicate",
    "difference",
    "e_benjamini_hochberg",
    "event_keys",
    "events_of",
    "is_armed",
    "learn",
    "wilson",
]
