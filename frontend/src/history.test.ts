import { expect, test } from "vitest";
import type { Range } from "./address";
import { columns, extended, gauge, missing, pointsOf, recent, utilization, type Point } from "./history";
import type { History } from "./types";

const RANGE: Range = { name: "1m", seconds: 60, resolution: 1 };

function history(walls: number[], boots = walls.map(() => "a")): History {
  return {
    wall: walls,
    seconds: walls.map(() => 1),
    boot: boots,
    counters: { "endings.ok": walls.map((wall) => wall % 10), busy_s: walls.map(() => 1), available_s: walls.map(() => 2) },
    gauges: { queued: walls.map((wall) => wall) },
    peaks: {},
    percentiles: { latency: { p50: walls.map(() => 0.1), p90: walls.map(() => null), p99: walls.map(() => 0.2) } },
  };
}

const points = (walls: number[], boots?: string[]): Point[] => pointsOf(history(walls, boots));
const walls = (all: readonly Point[]) => all.map((one) => one.wall);

test("what a history does not tell is 0, and a percentile is no number", () => {
  const one = points([5])[0]!;
  expect([one.counters["endings.lost"], one.gauges.wanted, one.percentiles.wait.p50, one.percentiles.latency.p99]).toEqual([0, 0, null, 0.2]);
});

test("a step that is told twice is there once, and what is older than the range goes", () => {
  const all = extended(points([1, 2, 3]), points([2.1, 3.2, 4, 62.5]), RANGE);
  expect(walls(all)).toEqual([3, 4, 62.5]);
});

test("steps are kept whatever order they were asked for in", () => {
  expect(walls(extended(points([1, 2]), points([3, 4, 5]), RANGE))).toEqual([1, 2, 3, 4, 5]);
  expect(walls(extended([], points([3]), RANGE))).toEqual([3]);
});

test("a range is asked for as a whole once, then what came since, and as a whole if the clock was set back", () => {
  expect([null, 10, 1000, -3600].map((since) => missing(since, RANGE))).toEqual([60, 13, 60, 60]);
});

test("where no step was, and where the pool was another, a line has a gap", () => {
  const [times, queued] = columns(points([1, 2, 7, 8, 9], ["a", "a", "a", "a", "b"]), RANGE, [gauge("queued")]);
  expect(times).toEqual([1, 2, 2.5, 7, 8, 8.5, 9]);
  expect(queued).toEqual([1, 2, null, 7, 8, null, 9]);
});

test("longer steps among short ones are no gap", () => {
  const long = points([10, 20], ["a", "a"]).map((one) => ({ ...one, seconds: 10 }));
  expect(columns([...long, ...points([21, 22])], RANGE, [gauge("queued")])[0]).toEqual([10, 20, 21, 22]);
});

test("utilization is a share of the time that workers were there, and nothing where none was", () => {
  const one = points([1])[0]!;
  expect(utilization(one)).toBe(0.5);
  expect(utilization({ ...one, counters: { ...one.counters, available_s: 0 } })).toBe(null);
});

test("the last seconds are summed from the newest step on", () => {
  expect(recent(points([1, 2, 3]), 2, (one) => one.wall)).toEqual({ sum: 5, seconds: 2 });
  expect(recent([], 2, (one) => one.wall)).toEqual({ sum: 0, seconds: 0 });
});
