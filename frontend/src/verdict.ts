// Whether the pool is well, in a word, with the reason and what to do next. The words are those of the pool's health.

import { duration, number, percent } from "./format";
import { endings, recent, type Point } from "./history";
import type { Snapshot } from "./types";
import type { View } from "./address";

/** How things look everywhere: nothing to do, at work, as much work as there is room for, or not there. */
export type Tone = "idle" | "busy" | "saturated" | "dead";

export interface Verdict {
  kind: "healthy" | "idle" | "troubled" | "slow" | "saturated" | "no_workers" | "crash_looping" | "changing";
  tone: Tone;
  title: string;
  reason: string;
  next: string;
  to: { view: View; show?: string; text: string } | null; // where to look
}

const CLOSING: Record<string, string> = {
  draining: "It finishes the calls it has and takes no more.",
  closing: "It ends the calls that still run.",
  closed: "It takes no calls.",
  forked: "This process is a copy of the one that has the pool.",
};

/** What a pool is that does not serve, by its state; null for one that does. */
export function changing(state: string): Verdict | null {
  if (state in CLOSING) {
    const title = state === "draining" ? "Draining" : state === "closed" ? "Closed" : "Closing";
    return { kind: "changing", tone: "dead", title, reason: CLOSING[state]!, next: "", to: null };
  }
  if (state !== "new" && state !== "opening") return null;
  const next = "Calls that arrive meanwhile wait for the first worker.";
  return { kind: "changing", tone: "idle", title: "Starting", reason: "The first workers are being started.", next, to: null };
}

export function verdict(seen: Snapshot, minute: readonly Point[]): Verdict {
  const { health, state } = seen;
  const found = changing(state);
  if (found) return found;
  const reason = sentence(health.reason.replace("; `statistics().reason` has the last failure", "")); // a program's verb
  switch (health.state) {
    case "crash_looping":
      return {
        kind: "crash_looping",
        tone: "dead",
        title: "Crash-looping",
        reason,
        next: "More workers will not help. Read what the last ones wrote before they died.",
        to: { view: "workers", show: "gone", text: "Workers that are gone" },
      };
    case "no_workers":
      return { kind: "no_workers", tone: "dead", title: "No workers", reason, next: missing(seen), to: { view: "workers", text: "Workers" } };
    case "saturated":
      return { kind: "saturated", tone: "saturated", title: "Saturated", reason, next: more(seen), to: { view: "sizing", text: "Sizing" } };
    case "slow":
      return {
        kind: "slow",
        tone: "saturated",
        title: "Slow",
        reason,
        next: "Look at the slowest calls: did they wait for a worker, or did they run long?",
        to: { view: "calls", show: "slowest", text: "Slowest calls" },
      };
    default:
      return troubled(seen) ?? well(seen, minute);
  }
}

export const TROUBLES: Record<string, Pick<Verdict, "title" | "next" | "to"> & { tone: Tone }> = {
  errors: {
    tone: "dead",
    title: "Calls fail",
    next: "The workers are there, but calls do not succeed. Look at which fail, and with what code.",
    to: { view: "calls", show: "failed", text: "Failed calls" },
  },
  stability: {
    tone: "saturated",
    title: "Lost workers",
    next: "They were replaced. See what they died of.",
    to: { view: "workers", show: "gone", text: "Workers that are gone" },
  },
  queue_trend: { tone: "saturated", title: "Queue grows", next: "More calls come than are finished. Watch whether it goes on.", to: { view: "sizing", text: "Sizing" } },
  saturation: { tone: "saturated", title: "Nearly full", next: "Nearly all workers are busy while calls wait.", to: { view: "sizing", text: "Sizing" } },
  attainment: { tone: "saturated", title: "Calls are late", next: "Look at the slowest.", to: { view: "calls", show: "slowest", text: "Slowest calls" } },
};
const TROUBLE = 0.2; // of a part's points, from which it is told

/** What is wrong with a pool whose state is none of the bad ones: the part of its health that lost most. */
function troubled(seen: Snapshot): Verdict | null {
  const worst = seen.health.components
    .filter((one) => one.weight - one.score >= TROUBLE * one.weight && one.name in TROUBLES)
    .sort((a, b) => b.weight - b.score - (a.weight - a.score))[0];
  return worst ? { kind: "troubled", reason: sentence(worst.reason), ...TROUBLES[worst.name]! } : null;
}

function well(seen: Snapshot, minute: readonly Point[]): Verdict {
  const ended = recent(minute, 60, endings);
  const latency = seen.percentiles["60"]?.["latency"];
  if (!ended.sum && !seen.running && !seen.queued) {
    const reason = `No call came within the last minute. ${ready(seen)}`;
    return { kind: "idle", tone: "idle", title: "Healthy, idle", reason, next: "nothing to do.", to: null };
  }
  const answered = recent(minute, 60, (one) => one.counters["endings.ok"]).sum;
  const share = ended.sum ? answered / ended.sum : 1;
  const took = latency?.count ? `, 99 of 100 of them within ${duration(latency.p99)}` : "";
  const reason = `${percent(share)} of the last minute's ${number(ended.sum)} calls were answered${took}.`;
  return { kind: "healthy", tone: "busy", title: "Healthy", reason, next: "nothing to do.", to: null };
}

function ready(seen: Snapshot): string {
  const there = seen.alive;
  return there === 1 ? "1 worker is ready." : `${number(there)} workers are ready.`;
}

function missing(seen: Snapshot): string {
  const starting = (seen.workers.starting ?? 0) + (seen.workers.warming ?? 0);
  if (starting) return `${starting === 1 ? "1 worker is" : `${starting} workers are`} being started. If none gets ready, read what it wrote.`;
  return "See why none starts.";
}

function more(seen: Snapshot): string {
  const { max_workers } = seen.bounds;
  if (seen.optimizer && seen.optimizer !== "running") {
    return `Sizing is ${seen.optimizer}: resume it, or raise the number of workers by hand (${seen.alive} of at most ${max_workers}).`;
  }
  if (seen.alive >= max_workers) {
    return `All ${max_workers} workers allowed are at work. Raise max_workers if the machine has room, or send fewer calls.`;
  }
  return `${seen.wanted} workers are wanted, ${seen.alive} are there: more are being started.`;
}

/** With a capital letter and a full stop. */
export function sentence(text: string): string {
  if (!text) return "";
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
