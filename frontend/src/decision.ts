// A decision of the optimizer in words: which parameter of the sizing rule it changed, from what to what.

import { DASH, duration, number } from "./format";
import type { Decision, Figure, SizingRule } from "./types";

type Value = SizingRule[string];

const NAMES: Record<string, string> = {
  floor: "workers at least",
  ceiling: "workers at most",
  spares: "spare workers",
  idle_timeouts: "idle time before a worker stops",
  patience_s: "patience",
  drain_s: "time to drain a backlog",
  window_s: "window of waiting calls",
};

export interface Change {
  name: string;
  before: string;
  after: string;
}

/** The parameters in which two rules differ, as far as it can be seen. */
export function differences(before: SizingRule, after: SizingRule): Change[] {
  return Object.keys(after)
    .map((name) => ({ name: NAMES[name] ?? name, before: shown(name, before[name]), after: shown(name, after[name]) }))
    .filter((change) => change.before !== change.after);
}

/** `workers at least 1 → 3`, or that nothing was changed. */
export function changes(decision: Decision): string {
  const found = differences(decision.before, decision.rule);
  if (!found.length) return decision.kind === "hold" ? "it held" : "only details of the rule";
  return found.map((one) => `${one.name} ${one.before} → ${one.after}`).join(", ");
}

export function shown(name: string, value: Value | undefined): string {
  if (Array.isArray(value)) return timeouts(value);
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return name === "drain_s" ? "a start" : DASH;
  return /_s$|timeouts/.test(name) ? duration(value) : number(value);
}

/** Of the first worker, and of the last if that is another: there may be a thousand. */
function timeouts(values: Figure[]): string {
  const [first, last] = [duration(values[0]), duration(values.at(-1))];
  return first === last ? first : `${first} for the first worker to ${last} for the last`;
}

/** All parameters of a rule, by their names for people. */
export function parameters(rule: SizingRule): [name: string, value: string][] {
  return Object.entries(rule).map(([name, value]) => [NAMES[name] ?? name, shown(name, value)]);
}
