// What the page knows of the pool that is looked at, kept up to date: the stream of events with a snapshot each second,
// and the history before. One stream for the page; a hidden or paused page has none.

import { address, onAddress, type Range } from "./address";
import { extended, FIELDS, missing, pointOf, pointsOf, type Point } from "./history";
import { get, isMeasured, poolPath, Refusal, request, told } from "./server";
import { store } from "./store";
import { follow, type Message } from "./stream";
import type { History, PoolBrief, PoolEvent, Snapshot } from "./types";

const KEPT_EVENTS = 500;
// What an operator wants to hear of. Refused calls and sessions that move or fall asleep may be thousands a second; the
// snapshot counts them.
const HEARD = [
  ...["open", "ready", "degraded", "restored", "draining", "closing", "close", "error", "stalled", "recovery", "command"].map((name) => `pool.${name}`),
  ...["ready", "draining", "killed", "start_failed", "gone", "unhealthy"].map((name) => `worker.${name}`),
  ...["lost", "restored", "unstored", "pinned"].map((name) => `session.${name}`),
  "warming.start",
  "warming.stop",
  "breaker",
  "alert",
  "optimizer",
  "demo", // says which phase its traffic is in
];
const MINUTE: Range = { name: "1m", seconds: 60, resolution: 1 };
const RETRIES_S = [0.5, 1, 2, 4, 8];
const STORED_S = 10; // the shortest steps that outlive the program
const TOLD_MS = 50; // in which events are collected
const STALE_S = 3.5; // without a snapshot: three did not come

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "paused" }
  | { state: "broken"; reason: string }
  | { state: "refused"; reason: string; status: number };

export const connection = store<Connection>({ state: "connecting" });
export const snapshot = store<Snapshot | null>(null);
export const points = store<readonly Point[]>([]); // of the range that is chosen
export const lastMinute = store<readonly Point[]>([]); // for the numbers of this moment, whatever the range
export const events = store<readonly PoolEvent[]>([]); // newest first
export const pools = store<readonly PoolBrief[]>([]);
/** Seconds since the last snapshot, if that is long enough to say so; counted by this computer's clock alone. */
export const staleFor = store<number | null>(null);

let lastId = "";
let heardAt = performance.now();
let stop = new AbortController();
let followed = ""; // pool
let shown = ""; // pool and range

/** Begin, and follow what the address says from then on. */
export function start(): void {
  onAddress(changed);
  document.addEventListener("visibilitychange", changed);
  setInterval(tick, 500);
  changed();
}

function changed(): void {
  const { pool, range, isPaused } = address();
  if (`${pool} ${range.name}` !== shown) {
    shown = `${pool} ${range.name}`;
    loaded = { key: "", at: 0 };
    points.set([]);
    void load(pool, range);
  }
  const wanted = document.hidden || isPaused ? "" : pool;
  if (isPaused) connection.set({ state: "paused" });
  if (wanted === followed) return;
  const isAnother = wanted !== "" && watched !== wanted;
  followed = wanted;
  stop.abort();
  if (!wanted) return;
  if (isAnother) forget(wanted);
  stop = new AbortController();
  void run(wanted, stop.signal);
}

let watched = ""; // the pool that what is known belongs to

function forget(pool: string): void {
  watched = pool;
  lastId = "";
  snapshot.set(null);
  heard = [];
  events.set([]);
  lastMinute.set([]);
}

/** Follow the events for ever: a broken connection is tried again, later each time. */
async function run(pool: string, signal: AbortSignal): Promise<void> {
  let failures = 0;
  heardAt = performance.now();
  while (!signal.aborted) {
    try {
      connection.set({ state: "connecting" });
      const headers: Record<string, string> = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
      const answer = await request(poolPath(pool, `/events?name=${names(pool)}`), { headers, signal });
      failures = 0;
      connection.set({ state: "live" });
      void load(pool, address().range);
      void fill(pool);
      void askPools();
      await follow(answer, hear);
      throw new TypeError("the stream ended");
    } catch (error) {
      if (signal.aborted) return;
      const isFinal = error instanceof Refusal && [401, 403, 404].includes(error.status);
      if (isFinal) connection.set({ state: "refused", reason: told(error), status: error.status });
      else connection.set({ state: "broken", reason: told(error) });
      await pause(isFinal ? 10 : RETRIES_S[Math.min(failures, RETRIES_S.length - 1)]!, signal);
      failures += 1;
    }
  }
}

function names(pool: string): string {
  return (isMeasured(pool) ? ["snapshot", ...HEARD] : HEARD).join(",");
}

function hear(message: Message): void {
  if (message.id) lastId = message.id;
  const said = JSON.parse(message.data) as PoolEvent & { snapshot?: Snapshot };
  if (message.event === "snapshot") {
    heardAt = performance.now();
    staleFor.set(null);
    const seen = said.snapshot!;
    const point = pointOf(seen.step);
    const { range } = address();
    if (point.wall < (lastMinute.get().at(-1)?.wall ?? 0) - STALE_S) forgetAfter(point.wall);
    lastMinute.set(extended(lastMinute.get(), [point], MINUTE));
    if (range.resolution === 1) points.set(extended(points.get(), [point], range));
    else if (point.wall - (points.get().at(-1)?.wall ?? 0) > range.resolution) void load(address().pool, range);
    snapshot.set(seen);
    return;
  }
  heard.unshift({ ...said, id: message.id, event: message.event });
  if (heard.length === 1) setTimeout(tell, TOLD_MS);
}

let heard: PoolEvent[] = []; // that nobody was told of yet, newest first

/** Tell of the events that came: there may be thousands at once, when many sessions are lost. */
function tell(): void {
  events.set([...heard, ...events.get()].slice(0, KEPT_EVENTS));
  heard = [];
}

/** The server's clock was set back: what it counted later than now is no past. */
function forgetAfter(wall: number): void {
  for (const known of [lastMinute, points]) known.set(known.get().filter((one) => one.wall < wall));
}

let loading = ""; // what is asked for at this moment
let loaded = { key: "", at: 0 }; // of what all was asked for, and when that was by this computer's clock

/** What cannot be had now is asked again; what is wrong the stream says. */
async function quietly(ask: () => Promise<void>): Promise<void> {
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof TypeError)) throw error;
  }
}

/** Ask for the steps of the range that are not known yet. */
async function load(pool: string, range: Range): Promise<void> {
  const key = `${pool} ${range.name}`;
  if (loading === key) return;
  loading = key;
  await quietly(async () => {
    const before = shown === key ? points.get() : [];
    const askedAt = Date.now();
    const found = await steps(pool, missing(loaded.key === key ? (askedAt - loaded.at) / 1000 : null, range), range.resolution);
    if (shown !== key) return;
    // Snapshots may have come before the history, or while it was on its way: their steps are newer than its first ones.
    points.set(extended(loaded.key === key ? extended(before, found, range) : found, points.get(), range));
    if (found.length) loaded = { key, at: askedAt };
  }).finally(() => (loading = ""));
}

/** Steps of so many seconds. Those of a second are in memory only: what was before the program began is in longer ones. */
async function steps(pool: string, seconds: number, resolution: number): Promise<Point[]> {
  const found = await ask(pool, seconds, resolution);
  const begin = found[0] ? found[0].wall - found[0].seconds : Infinity;
  const end = found.at(-1)?.wall ?? 0; // the server's clock, which may be another than this computer's
  if (resolution >= STORED_S || end - seconds > begin - STORED_S) return found;
  const before = await ask(pool, seconds, STORED_S);
  return [...before.filter((one) => one.wall < begin + resolution / 2), ...found];
}

/** The last minute, for the numbers of this moment, where a coarser range is looked at. */
function fill(pool: string): Promise<void> {
  return quietly(async () => {
    const found = await ask(pool, MINUTE.seconds, MINUTE.resolution);
    if (followed === pool) lastMinute.set(extended(found, lastMinute.get(), MINUTE));
  });
}

async function ask(pool: string, seconds: number, resolution: number): Promise<Point[]> {
  if (!isMeasured(pool)) return [];
  const query = `?seconds=${Math.ceil(seconds)}&resolution=${resolution}&fields=${FIELDS}`;
  return pointsOf(await get<History>(poolPath(pool, `/history${query}`)));
}

/** Ask how the other pools are. */
function askPools(): Promise<void> {
  return quietly(async () => pools.set((await get<{ pools: PoolBrief[] }>("/v1/pools")).pools));
}

let ticks = 0;

function tick(): void {
  const silent = (performance.now() - heardAt) / 1000;
  staleFor.set(followed && isMeasured(followed) && silent > STALE_S ? Math.floor(silent) : null);
  ticks += 1;
  if (followed && ticks % 20 === 0) void askPools();
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    });
  });
}
