// The first screen: is it well, and why; four numbers; three charts. More charts are below.

import { useAddress } from "../address";
import { useAnswer } from "../asking";
import { Errors, HealthScore, Latency, Queue, Size, Throughput, Utilization } from "../charts/charts";
import { clock, count, duration, isNumber, number, percent } from "../format";
import { endings, recent, unanswered, type Point } from "../history";
import { events, lastMinute, pools, snapshot } from "../live";
import { Icon, type IconName } from "../parts/icon";
import { Link } from "../parts/link";
import { Panel } from "../parts/panel";
import { Tile } from "../parts/tile";
import { IS_ADMIN, isMeasured, poolPath } from "../server";
import { useStore } from "../store";
import type { Alerts, Journal, Snapshot } from "../types";
import { changing, sentence, TROUBLES, verdict, type Verdict } from "../verdict";

export function Overview() {
  const seen = useStore(snapshot);
  const minute = useStore(lastMinute);
  const { pool } = useAddress();
  if (!isMeasured(pool)) return <Unmeasured />;
  return (
    <>
      {seen ? <VerdictPanel seen={seen} minute={minute} /> : <Unheard />}
      <Figures seen={seen} minute={minute} />
      <section class="charts" aria-label="Charts">
        <Throughput />
        <Latency />
        <Queue />
      </section>
      <section class="charts two" aria-label="More charts">
        <Size />
        <Utilization />
        <Errors />
        <HealthScore />
      </section>
    </>
  );
}

const ICONS: Record<Verdict["kind"], IconName> = {
  healthy: "well",
  idle: "idle",
  troubled: "gone",
  slow: "slow",
  saturated: "full",
  no_workers: "gone",
  crash_looping: "loop",
  changing: "wait",
};

/** A pool without metrics: what it is doing can be seen, not how it is. */
function Unmeasured() {
  const { pool } = useAddress();
  const { value, problem } = useAnswer<Brief>(poolPath(pool, "/statistics"), 2);
  return (
    <Panel title={value ? `The pool is ${value.state}` : "The pool"} note="It keeps no metrics (metrics=False), so there are no figures over time, no health, no alerts and no optimizer.">
      {problem && <p class="problem">{problem}</p>}
      {value && (
        <p>
          {count(value.alive, "worker")} alive, {number(value.wanted)} wanted; {number(value.running)} calls running, {number(value.queued)} waiting; {number(value.sessions_open)} sessions.
        </p>
      )}
      <p>
        <Link to={{ view: "workers" }}>Workers</Link>, <Link to={{ view: "calls" }}>calls</Link>, <Link to={{ view: "sessions" }}>sessions</Link> and <Link to={{ view: "events" }}>events</Link> are told as they are.
      </p>
    </Panel>
  );
}

type Brief = Pick<Snapshot, "state" | "alive" | "wanted" | "running" | "queued"> & { sessions_open: number };

/** Before the first snapshot: a pool that opens has none. */
function Unheard() {
  const { pool } = useAddress();
  const state = useStore(pools).find((one) => one.name === pool)?.state ?? "";
  const found = changing(state);
  if (!found) return <section class="verdict idle" aria-busy="true" />;
  return (
    <section class={`verdict ${found.kind} ${found.tone}`} aria-label="Is the pool well?">
      <Word found={found} />
      <div class="why">
        <p>{found.reason}</p>
        <p class="next">{found.next}</p>
      </div>
    </section>
  );
}

function Word({ found, score }: { found: Verdict; score?: number | undefined }) {
  return (
    <div class="word">
      <Icon name={ICONS[found.kind]} />
      <h2>{found.title}</h2>
      {score !== undefined && (
        <span class="score">
          {number(Math.round(score))} <small>of 100</small>
        </span>
      )}
    </div>
  );
}

function VerdictPanel({ seen, minute }: { seen: Snapshot; minute: readonly Point[] }) {
  const found = verdict(seen, minute);
  const isWell = found.kind === "healthy" || found.kind === "idle"; // full points beside another word say nothing
  return (
    <section class={`verdict ${found.kind} ${found.tone}`} aria-label="Is the pool well?">
      <Word found={found} score={isWell || seen.health.score < 99.5 ? seen.health.score : undefined} />
      <div class="why">
        <p>{found.reason}</p>
        {found.next && (
          <p class="next">
            <b>Next:</b> {found.next} {found.to && <Link to={{ view: found.to.view, ...(found.to.show ? { show: found.to.show } : {}) }}>{found.to.text}</Link>}
          </p>
        )}
        {IS_ADMIN && found.tone === "dead" && found.kind !== "changing" && <LastFailure />}
        <Lost seen={seen} headline={found.reason} />
        {!!seen.firing && <Firing count={seen.firing} />}
        {seen.optimizer !== null && <LastDecision seen={seen} />}
      </div>
    </section>
  );
}

const PARTS: Record<string, string> = {
  attainment: "in time",
  errors: "errors",
  saturation: "saturation",
  stability: "stability",
  queue_trend: "queue trend",
};

/** Where points of the health score went, and what else there is to say; the headline is not said again. */
function Lost({ seen, headline }: { seen: Snapshot; headline: string }) {
  const lost = seen.health.components.filter((one) => one.weight - one.score >= 1);
  if (!lost.length && !seen.health.notes.length) return null;
  const isNew = (reason: string) => !headline.toLowerCase().includes(reason.toLowerCase());
  return (
    <ul class="lost" aria-label="Lost points">
      {lost.map((one) => (
        <li key={one.name}>
          <b>−{Math.round(one.weight - one.score)}</b> <Part name={one.name} />
          {isNew(one.reason) && `: ${one.reason}`}
        </li>
      ))}
      {seen.health.notes.map((note) => (
        <li key={note}>Also: {note}</li>
      ))}
    </ul>
  );
}

/** A part of the health score, with the way to what it is about. */
function Part({ name }: { name: string }) {
  const to = TROUBLES[name]?.to;
  const text = PARTS[name] ?? name;
  return to ? <Link to={{ view: to.view, ...(to.show ? { show: to.show } : {}) }}>{text}</Link> : <>{text}</>;
}

/** The names of the alerts that fire. */
function Firing({ count: many }: { count: number }) {
  const { pool } = useAddress();
  const heard = useStore(events).find((one) => one.event.startsWith("alert."))?.id;
  const { value } = useAnswer<Alerts>(poolPath(pool, "/alerts"), 0, `${heard} ${many}`);
  const names = [...new Set(value?.firing.map((one) => one.name) ?? [])];
  return (
    <p class="decision">
      <b>Alerts:</b> {names.length ? names.join(", ") : number(many)} firing. <Link to={{ view: "alerts" }}>Alerts</Link>
    </p>
  );
}

/** What the code of the workers raised last: for administrators, who may read it. */
function LastFailure() {
  const { pool } = useAddress();
  const { value } = useAnswer<{ reason: string }>(poolPath(pool, "/statistics"), 5);
  const line = value?.reason.split("\n")[0];
  if (!line) return null;
  return (
    <p>
      <b>Last failure:</b> <code>{line}</code>
    </p>
  );
}

/** What the optimizer decided last, and why. */
function LastDecision({ seen }: { seen: Snapshot }) {
  const { pool } = useAddress();
  const heard = useStore(events).find((one) => one.event.startsWith("optimizer."))?.id;
  const { value } = useAnswer<Journal>(poolPath(pool, "/journal?limit=50"), 0, heard);
  const last = value?.decisions.findLast((one) => one.kind !== "hold");
  return (
    <p class="decision">
      <b>Sizing:</b> {number(seen.alive)} of at most {count(seen.bounds.max_workers, "worker")}, {number(seen.wanted)} wanted
      {seen.optimizer !== "running" && `; the optimizer is ${seen.optimizer}`}.{" "}
      {last && (
        <>
          {clock(last.wall)}: {sentence(last.reason)}{" "}
        </>
      )}
      <Link to={{ view: "sizing" }}>All decisions</Link>
    </p>
  );
}

function Figures({ seen, minute }: { seen: Snapshot | null; minute: readonly Point[] }) {
  const ten = recent(minute, 10, endings);
  const failed = recent(minute, 60, unanswered);
  const all = recent(minute, 60, endings);
  const latency = seen?.percentiles["60"]?.["latency"];
  const available = recent(minute, 10, (one) => one.counters.available_s).sum;
  const used = available ? Math.min(1, recent(minute, 10, (one) => one.counters.busy_s).sum / available) : null;
  const busy = seen?.each_worker.filter((one) => one.state === "busy").length ?? 0;
  const share = all.sum ? failed.sum / all.sum : seen ? 0 : null;
  return (
    <dl class="figures">
      <Tile name="Calls a second" value={ten.seconds ? number(ten.sum / ten.seconds) : "–"} more={seen ? `over 10 s; ${number(seen.running)} running, ${number(seen.queued)} waiting now` : ""} />
      <Tile name="p99 latency" value={duration(latency?.p99)} more={`p50 ${duration(latency?.p50)}, of the last minute`} />
      <Tile name="Not answered" value={percent(share)} more={all.sum ? `${number(failed.sum)} of ${number(all.sum)} calls in a minute` : "no calls in a minute"} tone={isNumber(share) && share >= 0.01 ? "dead" : ""} />
      <Tile name="Utilization" value={percent(used)} more={seen ? `${busy} of ${seen.alive} workers busy now` : ""} gauge={used} tone={isNumber(used) && used >= 0.9 && (seen?.queued ?? 0) > 0 ? "saturated" : ""} />
    </dl>
  );
}
