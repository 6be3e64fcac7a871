// The latency histogram over time, below the percentile lines: the darker a cell, the more calls took so long then.

import type uPlot from "uplot";
import type { Range } from "../address";
import { BOUNDS, type Point } from "../history";
import { colour } from "./theme";

const HALF_OCTAVE = Math.SQRT2;

/** Lower and upper end of a bucket, in seconds; the outermost ones are as wide as the others. */
export function bounds(bucket: number): [low: number, high: number] {
  const high = BOUNDS[bucket] ?? (BOUNDS.at(-2) as number) * HALF_OCTAVE;
  return [high / HALF_OCTAVE, high];
}

/** The ends of the axis: all there is to see, with a bucket of room, and no less than a factor of ten. */
export function reach(points: readonly Point[]): [low: number, high: number] {
  let low = Infinity;
  let high = 0;
  for (const one of points) {
    for (const [bucket] of one.heat) {
      const [from, to] = bounds(bucket);
      low = Math.min(low, from);
      high = Math.max(high, to);
    }
  }
  if (!high) return [0.001, 1];
  while (high / low < 10) {
    high *= HALF_OCTAVE;
    low /= HALF_OCTAVE;
  }
  return [low, high];
}

/** Draw the cells of these points. */
export function drawHeat(plot: uPlot, points: readonly Point[], range: Range): void {
  const { ctx, bbox } = plot;
  const most = points.reduce((found, one) => one.heat.reduce((a, [, count]) => Math.max(a, count / one.seconds), found), 0);
  if (!most) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = colour("--busy");
  for (const one of points) {
    const left = Math.floor(plot.valToPos(one.wall - Math.max(one.seconds, range.resolution), "x", true));
    const width = Math.max(1, Math.ceil(plot.valToPos(one.wall, "x", true)) - left);
    for (const [bucket, count] of one.heat) {
      const [low, high] = bounds(bucket);
      const top = Math.floor(plot.valToPos(high, "y", true));
      // The square root keeps a lone slow call visible beside thousands of fast ones.
      ctx.globalAlpha = 0.1 + 0.6 * Math.sqrt(count / one.seconds / most);
      ctx.fillRect(left, top, width, Math.max(1, Math.ceil(plot.valToPos(low, "y", true)) - top));
    }
  }
  ctx.restore();
}
