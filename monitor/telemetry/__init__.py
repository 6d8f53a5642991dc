"""What the process tells about itself: metrics, probes, logs."""

from monitor.telemetry.metrics import (
    LANE_STATES,
    METRICS,
    WITNESSES,
    CommittedState,
    LaneMetrics,
    Metric,
    MetricsSnapshot,
    Sample,
)
from monitor.telemetry.server import Health, TelemetryError, TelemetryServer, progressing

__all__ = [
    "LANE_STATES",
    "METRICS",
    "WITNESSES",
    "CommittedState",
    "Health",
    "LaneMetrics",
    "Metric",
    "MetricsSnapshot",
    "Sample",
    "TelemetryError",
    "TelemetryServer",
    "progressing",
]
