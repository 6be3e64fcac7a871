// What the server tells, by the names of docs/watching.md. Durations are seconds, `wall` is Unix time, null is no number.

export type Figure = number | null;
export type Counts = Record<string, number>;

export type HealthState = "healthy" | "slow" | "saturated" | "no_workers" | "crash_looping";
export type WorkerState = "starting" | "warming" | "spare" | "ready" | "busy" | "draining";

export interface Component {
  name: string;
  weight: number;
  score: number;
  reason: string;
}

export interface Health {
  score: number;
  state: HealthState;
  reason: string;
  components: Component[];
  notes: string[];
}

export interface Percentiles {
  p50: Figure;
  p90: Figure;
  p99: Figure;
}

/** A bucket of the latency histogram and how many calls were in it. */
export type HeatCell = [bucket: number, count: number];

/** One second of history, as a snapshot brings it. */
export interface Step {
  wall: number;
  seconds: number;
  boot: string;
  counters: Counts;
  gauges: Record<string, Figure>;
  peaks: Record<string, Figure>;
  percentiles: Record<"wait" | "service" | "latency", Percentiles>;
  heat: HeatCell[];
}

export interface History {
  wall: number[];
  seconds: number[];
  boot: string[];
  counters: Record<string, number[]>;
  gauges: Record<string, Figure[]>;
  peaks: Record<string, Figure[]>;
  percentiles: Record<string, Record<keyof Percentiles, Figure[]>>;
  heat?: { bounds: Figure[]; counts: HeatCell[][] };
}

export interface Worker {
  worker: number;
  pid: number;
  state: WorkerState;
  sessions: number;
  calls: number;
  in_flight: number;
  utilization: Figure;
  rss: Figure;
  cpu: Figure;
  operation: string | null;
  seconds: Figure;
  unresponsive_s: Figure;
  age_s: Figure;
}

export interface GoneWorker {
  worker: number;
  pid: number;
  wall: number;
  cause: string;
  reason: string;
  signal: number | null;
  exit_code: number | null;
  lost: number;
  sessions: number;
  seconds: Figure;
  stderr_tail: string | null;
}

export interface Distribution extends Percentiles {
  count: number;
  mean: Figure;
  highest: Figure;
}

export interface Snapshot {
  uptime_s: number;
  state: string;
  is_ready: boolean;
  wanted: number;
  asked_for: number;
  alive: number;
  workers: Counts;
  queued: number;
  running: number;
  submitted: number;
  endings: Counts;
  codes: Counts;
  percentiles: Record<string, Record<string, Distribution>>;
  health: Health;
  resources: { workers_cpu: number; workers_rss: number };
  step: Step;
  each_worker: Worker[];
  sessions: { open: number; asleep: number; opened: number; closed: number; moved: number; lost: number };
  warming: { done: number; of: number; failed: number } | null;
  not_warm: Record<string, string[]>;
  bounds: { min_workers: number; max_workers: number; max_queued: number | null; places: number };
  firing: number | null;
  pending: number | null;
  optimizer: "running" | "paused" | "frozen" | null;
}

export interface PoolEvent {
  id: string;
  wall: number;
  event: string;
  [fact: string]: unknown;
}

export interface PoolBrief {
  name: string;
  state: string;
  is_ready: boolean;
  operations: string[];
  health: { score: number; state: HealthState } | null;
  alive: number;
  firing: number | null;
}

export interface Call {
  call_id: number;
  operation: string;
  state: "waiting" | "running" | "ended";
  ending: string | null;
  code: string | null;
  outcome: string | null;
  age_s: Figure;
  run_s: Figure;
  wait_s: Figure;
  deadline_left_s: Figure;
  worker: number | null;
  session: string | null;
  attempts: number;
  priority: number;
  wall: number | null;
  stderr_tail: string | null;
}

export interface Session {
  id: string;
  number: number;
  generation: number;
  state: "open" | "moving" | "asleep" | "closing" | "lost";
  idle_s: number;
  worker: number | null;
  size_bytes: number | null;
  waiting: number;
}

export interface SizingRule {
  [parameter: string]: Figure | Figure[] | string;
}

export interface Decision {
  number: number;
  wall: number;
  kind: "change" | "refreshed" | "hold" | "taken back" | "command" | "none";
  before: SizingRule;
  rule: SizingRule;
  proposed: SizingRule;
  reason: string;
  policy: string;
  plan: string;
  guard: string[];
  inputs: Record<string, Figure>;
  findings: { name: string; sentence: string; numbers: Record<string, Figure>; confidence: number }[];
  candidates: { name: string; rule: SizingRule; workers: number; attainment: number }[];
  outcome: string;
}

export interface Journal {
  state: string;
  rule: SizingRule;
  decisions: Decision[];
}

export interface Alert {
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: "pending" | "firing" | "resolved";
  value: Figure;
  fingerprint: string;
  active_at: number;
  fired_at: number;
  resolved_at: number;
  silenced_by: string;
}

export interface AlertRule {
  group: string;
  alert: string;
  expr: string;
  state: string;
  alerts: number;
  problem: string;
}

export interface Silence {
  id: string;
  matchers: string[];
  author: string;
  comment: string;
  seconds_left: number;
}

export interface Alerts {
  firing: Alert[];
  pending: Alert[];
  rules: AlertRule[];
  silences: Silence[];
  history: Alert[];
}
