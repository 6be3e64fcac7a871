// The steps of history that are shown: asked for once, then each new one is added and the oldest dropped.

import type { Range } from "./address";
import type { Figure, HeatCell, History, Percentiles, Step } from "./types";

const COUNTERS = [
  "endings.ok",
  "endings.failed",
  "endings.cancelled",
  "endings.expired",
  "endings.rejected",
  "endings.lost",
  "busy_s",
  "available_s",
] as const;
const GAUGES = ["queued", "running", "oldest_wait_s", "wanted", "asked_for", "workers.ready", "workers.busy", "health"] as const;
const KINDS = ["wait", "latency"] as const;
const SHARES = ["p50", "p99"] as const;
export const FIELDS = [...COUNTERS, ...GAUGES, ...KINDS, "heat"].join(",");

type Counter = (typeof COUNTERS)[number];
type Gauge = (typeof GAUGES)[number];

/** One step, with only what the charts need. */
export interface Point {
  wall: number;
  seconds: number;
  boot: string;
  counters: Record<Counter, number>;
  gauges: Record<Gauge, Figure>;
  percentiles: Record<(typeof KINDS)[number], Record<(typeof SHARES)[number], Figure>>;
  heat: HeatCell[];
}

/** The upper bounds of the latency buckets (s): half an octave each, the last has none. */
export const BOUNDS: Figure[] = [...Array.from({ length: 43 }, (_, at) => 2 ** (at / 2 - 14)), null];

export function pointsOf(history: History): Point[] {
  return history.wall.map((wall, at) => ({
    wall,
    seconds: history.seconds[at] ?? 1,
    boot: history.boot[at] ?? "",
    counters: record(COUNTERS, (name) => history.counters[name]?.[at] ?? 0),
    gauges: record(GAUGES, (name) => history.gauges[name]?.[at] ?? 0),
    percentiles: record(KINDS, (kind) => record(SHARES, (share) => history.percentiles[kind]?.[share]?.[at] ?? null)),
    heat: history.heat?.counts[at] ?? [],
  }));
}

export function pointOf(step: Step): Point {
  return {
    wall: step.wall,
    seconds: step.seconds,
    boot: step.boot,
    counters: record(COUNTERS, (name) => step.counters[name] ?? 0),
    gauges: record(GAUGES, (name) => step.gauges[name] ?? 0),
    percentiles: record(KINDS, (kind) => record(SHARES, (share: keyof Percentiles) => step.percentiles[kind]?.[share] ?? null)),
    heat: step.heat,
  };
}

function record<K extends string, V>(names: readonly K[], value: (name: K) => V): Record<K, V> {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<K, V>;
}

/** Seconds of a range to ask for: all, or what came since it was asked for so long ago, and a few steps more. */
export function missing(sinceSeconds: number | null, range: Range): number {
  if (sinceSeconds === null || sinceSeconds < 0) return range.seconds; // never yet, or the clock was set back
  return Math.min(range.seconds, sinceSeconds + 3 * range.resolution);
}

/** Those before and the new ones that come after them, within the range. */
export function extended(before: readonly Point[], added: readonly Point[], range: Range): Point[] {
  const last = before.at(-1)?.wall ?? -Infinity;
  // Steps of one clock end a resolution apart: half of it is the same step told twice.
  const all = [...before, ...added.filter((one) => one.wall > last + range.resolution / 2)];
  const oldest = (all.at(-1)?.wall ?? 0) - range.seconds;
  return all.filter((one) => one.wall > oldest);
}

/** The times and the values of each line, with a gap where no step was: the pool was not there, or nobody looked. */
export function columns(points: readonly Point[], range: Range, read: ((one: Point) => Figure)[]): [number[], ...Figure[][]] {
  const times: number[] = [];
  const lines: Figure[][] = read.map(() => []);
  let before: Point | undefined;
  for (const one of points) {
    if (before && (one.boot !== before.boot || one.wall - one.seconds - before.wall > 1.5 * range.resolution)) {
      times.push(before.wall + range.resolution / 2);
      for (const line of lines) line.push(null);
    }
    times.push(one.wall);
    read.forEach((value, at) => lines[at]!.push(value(one)));
    before = one;
  }
  return [times, ...lines];
}

export function rate(name: Counter): (one: Point) => Figure {
  return (one) => one.counters[name] / one.seconds;
}

export function gauge(name: Gauge): (one: Point) => Figure {
  return (one) => one.gauges[name];
}

/** Calls of a step that ended, however they did. */
export function endings({ counters }: Pick<Point, "counters">): number {
  return counters["endings.ok"] + counters["endings.cancelled"] + unanswered({ counters });
}

/** Calls of a step that were not answered. Those that were cancelled are the callers' own doing. */
export function unanswered({ counters }: Pick<Point, "counters">): number {
  return counters["endings.failed"] + counters["endings.expired"] + counters["endings.rejected"] + counters["endings.lost"];
}

/** The share of the workers' time in which they held a call. */
export function utilization(one: Point): Figure {
  const { busy_s, available_s } = one.counters;
  return available_s > 0 ? Math.min(1, busy_s / available_s) : null;
}

/** The sum over the last seconds of what `read` gives for a step. */
export function recent(points: readonly Point[], seconds: number, read: (one: Point) => number): { sum: number; seconds: number } {
  let sum = 0;
  let covered = 0;
  for (let at = points.length - 1; at >= 0 && covered < seconds; at -= 1) {
    sum += read(points[at]!);
    covered += points[at]!.seconds;
  }
  return { sum, seconds: covered };
}
