// What is looked at stands in the address: the pool, the view, the range, whether it is paused, and a view's filters.
// A link to it shows the same to others; the browser's Back goes to the view before.

import { LOGIN } from "./server";
import { store, useStore } from "./store";

export const VIEWS = ["overview", "workers", "calls", "sessions", "sizing", "alerts", "events"] as const;
export type View = (typeof VIEWS)[number];

export interface Range {
  name: string;
  seconds: number;
  resolution: number;
}

export const RANGES: readonly [Range, ...Range[]] = [
  { name: "1m", seconds: 60, resolution: 1 },
  { name: "5m", seconds: 300, resolution: 1 },
  { name: "15m", seconds: 900, resolution: 10 },
  { name: "1h", seconds: 3600, resolution: 10 },
  { name: "24h", seconds: 86400, resolution: 60 },
];
const DEFAULTS: Record<string, string> = { view: "overview", range: "5m" };

const query = store(new URLSearchParams(location.search));
addEventListener("popstate", () => query.set(new URLSearchParams(location.search)));

export class Address {
  constructor(private readonly query: URLSearchParams) {}

  get pool(): string {
    return this.query.get("pool") || (LOGIN.pools[0] ?? "");
  }

  get view(): View {
    const name = this.query.get("view");
    return VIEWS.find((view) => view === name) ?? "overview";
  }

  get range(): Range {
    const name = this.query.get("range") ?? DEFAULTS.range;
    return RANGES.find((range) => range.name === name) ?? RANGES[1]!;
  }

  get isPaused(): boolean {
    return this.query.get("paused") === "1";
  }

  /** A view's own choice, such as a filter. */
  choice(name: string, otherwise = ""): string {
    return this.query.get(name) ?? otherwise;
  }
}

export function address(): Address {
  return new Address(query.get());
}

export function useAddress(): Address {
  return new Address(useStore(query));
}

export function onAddress(hear: () => void): () => void {
  return query.subscribe(hear);
}

/** The address that differs by these parts; null or a default takes a part out. Another view or pool drops filters. */
export function link(parts: Record<string, string | null>): string {
  const kept = ["pool", "range", "paused"];
  const before = query.get();
  const isElsewhere = "view" in parts || "pool" in parts;
  const next = isElsewhere ? new URLSearchParams([...before].filter(([name]) => kept.includes(name))) : new URLSearchParams(before);
  if (!("view" in parts) && isElsewhere && before.has("view")) next.set("view", before.get("view")!);
  for (const [name, value] of Object.entries(parts)) {
    if (value === null || value === "" || value === DEFAULTS[name]) next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  return location.pathname + (text ? `?${text}` : "");
}

/** Go there. Another view or pool is an entry of the browser's history; a filter, a range or a pause replaces it. */
export function go(parts: Record<string, string | null>): void {
  const to = link(parts);
  if ("view" in parts || "pool" in parts) history.pushState(null, "", to);
  else history.replaceState(null, "", to);
  query.set(new URLSearchParams(location.search));
}
