// The charts there are, each of the points of the range that is looked at.

import { useMemo } from "preact/hooks";
import { useAddress } from "../address";
import { duration, number, percent, short } from "../format";
import { columns, gauge, rate, unanswered, utilization, type Point } from "../history";
import { points } from "../live";
import { useStore } from "../store";
import type { Figure } from "../types";
import { drawHeat, reach } from "./heat";
import { Plot, type Line, type PlotProps } from "./plot";

type Read = (one: Point) => Figure;

interface Of extends Omit<PlotProps, "data" | "range" | "lines"> {
  lines: (Line & { read: Read })[];
}

function Chart({ lines, ...rest }: Of) {
  const { range } = useAddress();
  const shown = useStore(points);
  const data = useMemo(() => columns(shown, range, lines.map((line) => line.read)), [shown, range]);
  return <Plot {...rest} lines={lines} data={data} range={range} />;
}

const perSecond = (value: Figure) => `${number(value)}/s`;

export function Throughput() {
  return (
    <Chart
      title="Calls a second"
      format={perSecond}
      tick={short}
      lines={[
        { name: "answered", colour: "--busy", fill: true, read: rate("endings.ok") },
        { name: "not answered", colour: "--dead", dash: [6, 3], read: (one) => unanswered(one) / one.seconds },
      ]}
    />
  );
}

export function Latency() {
  const { range } = useAddress();
  const shown = useStore(points);
  const ends = useMemo(() => reach(shown), [shown]);
  return (
    <Chart
      title="Latency"
      format={duration}
      tick={duration}
      logarithmic={ends}
      behind={(plot) => drawHeat(plot, shown, range)}
      lines={[
        { name: "p50", colour: "--text", read: (one) => one.percentiles.latency.p50 },
        { name: "p99", colour: "--text", dash: [5, 3], read: (one) => one.percentiles.latency.p99 },
      ]}
    />
  );
}

export function Queue() {
  return (
    <Chart
      title="Waiting"
      format={number}
      tick={short}
      rightFormat={duration}
      most={4}
      rightMost={0.1}
      lines={[
        { name: "calls waiting", colour: "--saturated", fill: true, read: gauge("queued") },
        { name: "longest wait", colour: "--text", dash: [5, 3], axis: "right", read: gauge("oldest_wait_s") },
      ]}
    />
  );
}

export function Utilization() {
  return (
    <Chart
      title="Utilization of workers"
      format={percent}
      tick={percent}
      most={1}
      lines={[{ name: "busy", colour: "--busy", fill: true, read: utilization }]}
    />
  );
}

export function Errors() {
  return (
    <Chart
      title="Calls not answered, by kind"
      format={perSecond}
      tick={short}
      lines={[
        { name: "failed", colour: "--dead", read: rate("endings.failed") },
        { name: "lost", colour: "--text", dash: [2, 3], read: rate("endings.lost") },
        { name: "expired", colour: "--saturated", dash: [7, 3], read: rate("endings.expired") },
        { name: "rejected", colour: "--busy", dash: [4, 2], read: rate("endings.rejected") },
        { name: "cancelled", colour: "--idle", dash: [10, 3, 2, 3], read: rate("endings.cancelled") },
      ]}
    />
  );
}

const alive: Read = (one) => (one.gauges["workers.ready"] ?? 0) + (one.gauges["workers.busy"] ?? 0);

export function Size() {
  return (
    <Chart
      title="Workers"
      format={number}
      tick={short}
      lines={[
        { name: "alive", colour: "--busy", fill: true, step: true, read: alive },
        { name: "wanted", colour: "--text", step: true, dash: [5, 3], read: gauge("wanted") },
        { name: "asked for", colour: "--saturated", step: true, dash: [2, 3], read: gauge("asked_for") },
      ]}
    />
  );
}

export function HealthScore() {
  return (
    <Chart
      title="Health"
      format={number}
      tick={number}
      most={100}
      lines={[{ name: "points of 100", colour: "--busy", read: gauge("health") }]}
    />
  );
}
