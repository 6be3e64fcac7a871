import { expect, test } from "vitest";
import type { Health, Snapshot } from "./types";
import { verdict } from "./verdict";

const WELL: Health = { score: 100, state: "healthy", reason: "", components: [], notes: [] };

function snapshot(more: Partial<Snapshot>): Snapshot {
  return {
    ...({ state: "ready", alive: 2, wanted: 2, running: 0, queued: 0, workers: { ready: 2 }, percentiles: {}, optimizer: "running" } as unknown as Snapshot),
    health: WELL,
    bounds: { min_workers: 1, max_workers: 2, max_queued: null, places: 2 },
    ...more,
  };
}

const bad = (state: Health["state"]): Health => ({ ...WELL, score: 50, state, reason: "calls wait" });

test("each bad state has a word, a reason and a place to look, and no two look the same", () => {
  const states = ["slow", "saturated", "no_workers", "crash_looping"] as const;
  const found = states.map((state) => verdict(snapshot({ health: bad(state) }), []));
  expect(found.map((one) => one.kind)).toEqual([...states]);
  expect(new Set(found.map((one) => one.title)).size).toBe(4);
  for (const one of found) {
    expect(one.reason).toBe("Calls wait.");
    expect(one.next).not.toBe("");
    expect(one.to).not.toBe(null);
  }
});

test("a pool that has nothing to do is well", () => {
  expect(verdict(snapshot({}), [])).toMatchObject({ kind: "idle", title: "Healthy, idle" });
});

test("a pool whose calls fail is not called healthy", () => {
  const errors = { name: "errors", weight: 25, score: 0, reason: "50.0% of calls failed" };
  const found = verdict(snapshot({ health: { ...WELL, score: 75, components: [errors] } }), []);
  expect(found).toMatchObject({ kind: "troubled", title: "Calls fail", reason: "50.0% of calls failed." });
});

test("what is done about saturation depends on who may add workers", () => {
  const full = bad("saturated");
  const next = (more: Partial<Snapshot>) => verdict(snapshot({ health: full, ...more }), []).next;
  expect(next({})).toContain("Raise max_workers");
  expect(next({ alive: 1 })).toContain("more are being started");
  expect(next({ optimizer: "paused" })).toContain("Sizing is paused");
});

test("a pool that opens, drains or is closed says that, whatever its health", () => {
  const titles = ["opening", "draining", "closing", "closed"].map((state) => verdict(snapshot({ state, health: bad("no_workers") }), []).title);
  expect(titles).toEqual(["Starting", "Draining", "Closing", "Closed"]);
});
