// A state as a word in its colour: the same grammar wherever a state is shown.

import type { ComponentChildren } from "preact";
import type { Tone } from "../verdict";

const TONES: Record<string, Tone> = {
  // workers
  starting: "idle",
  warming: "idle",
  spare: "idle",
  ready: "idle",
  busy: "busy",
  draining: "saturated",
  gone: "dead",
  // calls
  waiting: "saturated",
  running: "busy",
  ok: "busy",
  failed: "dead",
  lost: "dead",
  expired: "saturated",
  rejected: "saturated",
  cancelled: "idle",
  // sessions
  open: "busy",
  moving: "saturated",
  asleep: "idle",
  closing: "saturated",
  // alerts
  firing: "dead",
  pending: "saturated",
  resolved: "idle",
  silenced: "idle",
};

export function toneOf(state: string): Tone {
  return TONES[state] ?? "idle";
}

export function Badge({ state, children }: { state: string; children?: ComponentChildren }) {
  return <span class={`badge ${toneOf(state)}`}>{children ?? state}</span>;
}
