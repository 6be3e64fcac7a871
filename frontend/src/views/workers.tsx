// Each worker: its state, what it does and for how long, and below those that are gone, with the cause.

import { useAddress } from "../address";
import { useAnswer } from "../asking";
import { bytes, clock, count, duration, number, percent } from "../format";
import { events, snapshot } from "../live";
import { Badge } from "../parts/badge";
import { Ask } from "../parts/dialog";
import { Link } from "../parts/link";
import { Name } from "../parts/name";
import { Nothing, Panel } from "../parts/panel";
import { Stack } from "../parts/stack";
import { DataTable, type Column } from "../parts/table";
import { Text } from "../parts/text";
import { command, IS_ADMIN, isMeasured, poolPath } from "../server";
import { useStore } from "../store";
import type { GoneWorker, Snapshot, Worker } from "../types";

export function Workers() {
  const seen = useStore(snapshot);
  const { pool } = useAddress();
  if (!isMeasured(pool)) return <Unmeasured pool={pool} />;
  if (!seen) return <Panel title="Workers" />;
  const isBad = ["no_workers", "crash_looping"].includes(seen.health.state) || seen.state === "degraded";
  return (
    <>
      {isBad && <Failure />}
      <Alive seen={seen} />
      <Gone />
    </>
  );
}

/** Those of a pool without metrics, which come in no snapshot. */
function Unmeasured({ pool }: { pool: string }) {
  const { value, problem } = useAnswer<{ workers: Worker[] }>(poolPath(pool, "/workers"), 2);
  return (
    <>
      <Panel title={value ? count(value.workers.length, "worker") : "Workers"}>
        {problem && <p class="problem">{problem}</p>}
        {value && <Rows workers={value.workers} />}
      </Panel>
      <Gone />
    </>
  );
}

function Alive({ seen }: { seen: Snapshot }) {
  const { pool } = useAddress();
  const { alive, wanted, asked_for, bounds } = seen;
  return (
    <Panel
      title={`${count(alive, "worker")} alive`}
      note={`${number(wanted)} wanted for the load, ${number(asked_for)} there or being started, from ${number(bounds.min_workers)} to ${number(bounds.max_workers)} allowed.${IS_ADMIN ? " A worker's number opens its output and its stack." : ""}`}
      actions={IS_ADMIN && <Controls pool={pool} seen={seen} />}
    >
      <Warming seen={seen} />
      <Squares workers={seen.each_worker} />
      <Rows workers={seen.each_worker} />
    </Panel>
  );
}

function Rows({ workers }: { workers: Worker[] }) {
  const address = useAddress();
  const { pool } = address;
  const open = address.choice("worker");
  const columns: Column<Worker>[] = [
    { name: "Worker", isHead: true, cell: (one) => (IS_ADMIN ? <Link to={{ worker: open === String(one.worker) ? null : String(one.worker) }}>{one.worker}</Link> : one.worker) },
    { name: "State", cell: (one) => <Badge state={one.state} /> },
    { name: "Runs", cell: (one) => <Runs one={one} /> },
    { name: "Sessions", isNumber: true, cell: (one) => number(one.sessions) },
    { name: "Calls", isNumber: true, cell: (one) => number(one.calls) },
    { name: "Busy", isNumber: true, cell: (one) => percent(one.utilization) },
    { name: "CPU", isNumber: true, cell: (one) => percent(one.cpu) },
    { name: "Memory", isNumber: true, cell: (one) => bytes(one.rss) },
    { name: "Age", isNumber: true, cell: (one) => duration(one.age_s) },
    { name: "Process", isNumber: true, cell: (one) => one.pid },
  ];
  if (!workers.length) return <Nothing>No worker is there.</Nothing>;
  return (
    <DataTable
      label="Workers"
      columns={columns}
      rows={workers}
      keyOf={(one) => one.worker}
      open={(one) => (IS_ADMIN && open === String(one.worker) ? <Inside pool={pool} worker={one.worker} /> : null)}
    />
  );
}

/** Why workers fail, in the words of their code: for administrators. */
function Failure() {
  const { pool } = useAddress();
  const { value, problem } = useAnswer<{ reason: string }>(poolPath(pool, "/statistics"), 5);
  if (!value?.reason && !problem) return null;
  return (
    <Panel title="The last failure">
      {problem && <p class="problem">{problem}</p>}
      {value && <pre tabIndex={0}>{IS_ADMIN ? value.reason : "An administrator can see it."}</pre>}
    </Panel>
  );
}

function Runs({ one }: { one: Worker }) {
  if (!one.operation) return <span class="quiet">–</span>;
  const more = one.in_flight > 1 ? `, ${one.in_flight} calls` : "";
  return (
    <>
      <Name text={one.operation} /> for {duration(one.seconds)}
      {more}
      {!!one.unresponsive_s && <b class="problem"> gives no sign for {duration(one.unresponsive_s)}</b>}
    </>
  );
}

/** All workers at a glance, where they are many. */
function Squares({ workers }: { workers: Worker[] }) {
  if (workers.length < 12) return null;
  const counts = new Map<string, number>();
  for (const one of workers) counts.set(one.state, (counts.get(one.state) ?? 0) + 1);
  const said = [...counts].map(([state, many]) => `${many} ${state}`).join(", ");
  return (
    <p class="squares" role="img" aria-label={said}>
      {workers.map((one) => (
        <span key={one.worker} class={`square ${one.state}`} title={`worker ${one.worker}: ${one.state}`} />
      ))}
    </p>
  );
}

function Warming({ seen }: { seen: Snapshot }) {
  const cold = Object.entries(seen.not_warm);
  return (
    <>
      {seen.warming && (
        <p class="warming">
          <label>
            Warming up: {number(seen.warming.done)} of {number(seen.warming.of)} commands
            {seen.warming.failed > 0 && `, ${seen.warming.failed} failed`} <progress max={seen.warming.of} value={seen.warming.done} />
          </label>
        </p>
      )}
      {cold.map(([worker, commands]) => (
        <p key={worker} class="problem">
          Worker {worker} serves, but these warm-up commands failed: {commands.join(", ")}.
        </p>
      ))}
    </>
  );
}

function Controls({ pool, seen }: { pool: string; seen: Snapshot }) {
  const { min_workers, max_workers } = seen.bounds;
  const resize = (fields: FormData) => command(pool, "resize", { min_workers: Number(fields.get("min")), max_workers: Number(fields.get("max")) });
  return (
    <>
      <Ask label="Set bounds…" title="Set how many workers there may be" does="The optimizer chooses between the two. Busy workers and workers with sessions are not ended." verb="Set bounds" act={resize}>
        <label>
          At least
          <input name="min" type="number" min="0" max="1024" required defaultValue={String(min_workers)} />
        </label>
        <label>
          At most
          <input name="max" type="number" min="1" max="1024" required defaultValue={String(max_workers)} />
        </label>
      </Ask>
      <Ask label="Replace all…" title="Replace every worker?" does="The handler's code is loaded anew, and workers are replaced one after another. Sessions move, calls go on." verb="Replace all" act={() => command(pool, "replace_workers")} />
      <Ask label="Drain…" title="Drain the pool?" does="It takes no more calls and finishes those it has. It cannot be opened again but by a restart of its program." verb="Drain the pool" isGrave act={() => command(pool, "drain")} />
    </>
  );
}

/** What a worker wrote, and where its code is now: for administrators. */
function Inside({ pool, worker }: { pool: string; worker: number }) {
  const logs = useAnswer<{ text: string }>(poolPath(pool, `/workers/${worker}/logs`), 2);
  return (
    <div class="inside">
      <Stack pool={pool} worker={worker} title="Stack now" />
      <h3>What it wrote last</h3>
      <Text answer={logs} label={`Output of worker ${worker}`} nothing="It has written nothing." />
    </div>
  );
}

const PLANNED = ["retired", "recycled"];

function Gone() {
  const address = useAddress();
  const { pool } = address;
  const choice = address.choice("gone");
  const heard = useStore(events).find((one) => one.event === "worker.gone")?.id;
  const { value, problem } = useAnswer<{ gone: GoneWorker[] }>(poolPath(pool, "/workers"), 0, heard);
  const gone = value?.gone ?? [];
  const columns: Column<GoneWorker>[] = [
    { name: "Worker", isHead: true, cell: (one) => (one.stderr_tail ? <Link to={{ gone: choice === String(one.worker) ? null : String(one.worker) }}>{one.worker}</Link> : one.worker) },
    { name: "Gone at", cell: (one) => clock(one.wall) },
    { name: "Cause", cell: (one) => <span class={`badge ${PLANNED.includes(one.cause) ? "idle" : "dead"}`}>{one.cause.replace("_", " ")}</span> },
    { name: "Reason", isText: true, cell: (one) => reasonOf(one) },
    { name: "Calls lost", isNumber: true, cell: (one) => number(one.lost) },
    { name: "Sessions there", isNumber: true, cell: (one) => number(one.sessions) },
    { name: "Lived", isNumber: true, cell: (one) => duration(one.seconds) },
  ];
  const open = choice || (gone[0] && !PLANNED.includes(gone[0].cause) ? String(gone[0].worker) : "");
  return (
    <Panel title="Gone" note="The last workers that ended, newest first, and why; up to 100 that were lost, and 50 that went as planned.">
      {problem && <p class="problem">{problem}</p>}
      {value && !gone.length && <Nothing>No worker has ended yet.</Nothing>}
      {gone.length > 0 && (
        <DataTable
          label="Workers that are gone"
          columns={columns}
          rows={gone}
          keyOf={(one) => one.worker}
          open={(one) => (one.stderr_tail && open === String(one.worker) ? <pre tabIndex={0} aria-label={`Last output of worker ${one.worker}`}>{one.stderr_tail}</pre> : null)}
        />
      )}
    </Panel>
  );
}

function reasonOf(one: GoneWorker): string {
  const how = one.signal ? ` (signal ${one.signal})` : one.exit_code ? ` (exit code ${one.exit_code})` : "";
  return one.reason + how;
}
