import { expect, test } from "vitest";
import { changes, parameters } from "./decision";
import type { Decision, SizingRule } from "./types";

const RULE: SizingRule = { floor: 0, spares: 0, idle_timeouts: [60], drain_s: null };

function decision(rule: SizingRule, kind: Decision["kind"] = "change"): Decision {
  const none = { number: 1, wall: 0, reason: "", policy: "", plan: "", guard: [], inputs: {}, findings: [], candidates: [], outcome: "" };
  return { ...none, kind, before: RULE, rule, proposed: rule };
}

test("a decision is told by the parameters that it changed", () => {
  expect(changes(decision({ ...RULE, floor: 3 }))).toBe("workers at least 0 → 3");
});

test("a thousand idle times are told as the first and the last", () => {
  const times = [1, ...Array<number>(1000).fill(0.5)];
  expect(changes(decision({ ...RULE, idle_timeouts: times }))).toBe(
    "idle time before a worker stops 60 s → 1 s for the first worker to 500 ms for the last",
  );
});

test("a difference that cannot be seen is called one", () => {
  const before = decision({ ...RULE, idle_timeouts: [1, 0.7, 0.5] });
  expect(changes({ ...before, before: { ...RULE, idle_timeouts: [1, 0.6, 0.5] } })).toBe("only details of the rule");
  expect(changes(decision(RULE, "hold"))).toBe("it held");
});

test("each parameter has a name for people", () => {
  expect(parameters(RULE)).toEqual([
    ["workers at least", "0"],
    ["spare workers", "0"],
    ["idle time before a worker stops", "60 s"],
    ["time to drain a backlog", "a start"],
  ]);
});
