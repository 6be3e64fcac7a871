// The frame of the page: whose pool it is, how far back it looks, whether its data are of now, and the views.

import type { FunctionComponent } from "preact";
import { useEffect } from "preact/hooks";
import { go, RANGES, useAddress, VIEWS, type View } from "./address";
import { choose, theme, type Theme } from "./charts/theme";
import { duration } from "./format";
import { connection, pools, snapshot, staleFor } from "./live";
import { Choices } from "./parts/choices";
import { Link } from "./parts/link";
import { isMeasured, LOGIN, post } from "./server";
import { useStore } from "./store";
import { Alerts } from "./views/alerts";
import { Calls } from "./views/calls";
import { Events } from "./views/events";
import { Overview } from "./views/overview";
import { Sessions } from "./views/sessions";
import { Sizing } from "./views/sizing";
import { Workers } from "./views/workers";

const NAMES: Record<View, string> = {
  overview: "Overview",
  workers: "Workers",
  calls: "Calls",
  sessions: "Sessions",
  sizing: "Sizing",
  alerts: "Alerts",
  events: "Events",
};
const VIEW: Record<View, FunctionComponent> = {
  overview: Overview,
  workers: Workers,
  calls: Calls,
  sessions: Sessions,
  sizing: Sizing,
  alerts: Alerts,
  events: Events,
};

export function App() {
  const { view, pool } = useAddress();
  const Shown = VIEW[view];
  useEffect(() => {
    document.title = `${NAMES[view]} · ${pool} · Millpond`;
  }, [view, pool]);
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <Header />
      <Notice />
      <main id="content" tabIndex={-1}>
        {pool ? <Shown key={pool} /> : <p class="nothing">No pool is served here.</p>}
      </main>
      <Footer />
    </>
  );
}

function Header() {
  const { view, range, isPaused } = useAddress();
  const firing = useStore(snapshot)?.firing ?? 0;
  return (
    <header class="top">
      <div class="bar">
        <span class="brand">Millpond</span>
        <Pools />
        <Live />
        <div class="time">
          <Choices label="How far back" name="range" current={range.name} options={RANGES.map(({ name }) => [name, name] as const)} />
          <button type="button" class="pause" aria-pressed={isPaused} onClick={() => go({ paused: isPaused ? null : "1" })}>
            {isPaused ? "Resume page" : "Pause page"}
          </button>
        </div>
      </div>
      <nav aria-label="Views">
        {VIEWS.map((name) => (
          <Link key={name} to={{ view: name }} current={name === view ? "page" : undefined}>
            {NAMES[name]}
            {name === "alerts" && firing > 0 && <span class="badge dead">{firing} firing</span>}
          </Link>
        ))}
      </nav>
    </header>
  );
}

/** Which pool is looked at; the others with how they are. */
function Pools() {
  const { pool } = useAddress();
  const briefs = new Map(useStore(pools).map((one) => [one.name, one]));
  if (LOGIN.pools.length < 2) return <h1 class="pool">{pool}</h1>;
  return (
    <h1 class="pool">
      <select aria-label="Pool" value={pool} onChange={(event) => go({ pool: event.currentTarget.value })}>
        {LOGIN.pools.map((name) => {
          const state = briefs.get(name)?.health?.state.replace("_", " ");
          return (
            <option key={name} value={name}>
              {name}
              {state && state !== "healthy" ? ` (${state})` : ""}
            </option>
          );
        })}
      </select>
    </h1>
  );
}

/** Whether what is shown is of now. */
function Live() {
  const state = useStore(connection);
  const stale = useStore(staleFor);
  const text = state.state === "live" && stale === null ? "Live" : state.state === "paused" ? "Paused" : state.state === "connecting" && stale === null ? "Connecting…" : "Not live";
  return (
    <span class={`live ${text === "Live" ? "is-live" : ""}`} role="status">
      {text}
    </span>
  );
}

/** A line across the page when its data are old, with the reason. */
function Notice() {
  const state = useStore(connection);
  const stale = useStore(staleFor);
  if (state.state === "refused" && state.status === 401) {
    return (
      <p class="notice" role="alert">
        You are no longer logged in. <a href={`${LOGIN.root}/`}>Log in again</a>
      </p>
    );
  }
  if (state.state === "refused") return <Line text={`${state.reason} It is asked again every 10 seconds.`} />;
  if (stale === null) return null;
  const reason = state.state === "broken" ? `${state.reason} Connecting again.` : "The server is silent.";
  return <Line text={`These data are ${duration(stale)} old. ${reason}`} />;
}

function Line({ text }: { text: string }) {
  return (
    <p class="notice" role="alert">
      {text}
    </p>
  );
}

const THEMES: readonly [Theme, string][] = [
  ["auto", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

function Footer() {
  const chosen = useStore(theme);
  const { pool, range } = useAddress();
  const leave = async () => {
    await post("/logout", {});
    location.assign(`${LOGIN.root}/`);
  };
  const report = `${LOGIN.root}/v1/pools/${encodeURIComponent(pool)}/report?seconds=${range.seconds}`;
  return (
    <footer>
      <span>
        Millpond {LOGIN.version} · logged in as {LOGIN.owner} ({LOGIN.role})
      </span>
      <span class="links">
        {isMeasured(pool) && (
          <a href={report} download>
            Save report of the last {range.name}
          </a>
        )}
        <a href={`${LOGIN.root}/docs`}>API</a>
        <label>
          Colours{" "}
          <select value={chosen} onChange={(event) => choose(event.currentTarget.value as Theme)}>
            {THEMES.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
        {LOGIN.login && (
          <button type="button" class="link" onClick={() => void leave()}>
            Log out
          </button>
        )}
      </span>
    </footer>
  );
}
