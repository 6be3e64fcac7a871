// Sessions: how many are open, asleep, moved and lost, and the list of them, a page at a time.

import { useAddress } from "../address";
import { useAnswer } from "../asking";
import { bytes, duration, number } from "../format";
import { snapshot } from "../live";
import { Badge } from "../parts/badge";
import { Filter, Select } from "../parts/filter";
import { Link } from "../parts/link";
import { Name } from "../parts/name";
import { Nothing, Panel } from "../parts/panel";
import { DataTable, type Column } from "../parts/table";
import { Tile } from "../parts/tile";
import { poolPath } from "../server";
import { useStore } from "../store";
import type { Session } from "../types";

const STATES = ["open", "moving", "asleep", "closing", "lost"];
const PAGE = 100;

const COLUMNS: Column<Session>[] = [
  { name: "Session", isHead: true, cell: (one) => <Link to={{ view: "calls", show: "running", session: one.id }}><Name text={one.id} /></Link> },
  { name: "State", cell: (one) => <Badge state={one.state} /> },
  { name: "Worker", isNumber: true, cell: (one) => one.worker ?? "–" },
  { name: "Idle for", isNumber: true, cell: (one) => duration(one.idle_s) },
  { name: "Calls waiting", isNumber: true, cell: (one) => number(one.waiting) },
  { name: "State kept here", isNumber: true, cell: (one) => bytes(one.size_bytes) },
  { name: "Generation", isNumber: true, cell: (one) => number(one.generation) },
];

export function Sessions() {
  const seen = useStore(snapshot);
  const address = useAddress();
  const { pool } = address;
  const after = address.choice("after", "0");
  const query = new URLSearchParams({ limit: String(PAGE), after });
  for (const name of ["state", "prefix", "worker"]) if (address.choice(name)) query.set(name, address.choice(name));
  const { value, problem } = useAnswer<{ sessions: Session[] }>(poolPath(pool, `/sessions?${query}`), 5);
  const sessions = value?.sessions ?? [];
  return (
    <>
      {seen && (
        <dl class="figures six" aria-label="Sessions">
          <Tile name="Open" value={number(seen.sessions.open - seen.sessions.asleep)} more="in a worker or on the way" />
          <Tile name="Asleep" value={number(seen.sessions.asleep)} more="in the store" />
          <Tile name="Moved" value={number(seen.sessions.moved)} more="since the pool opened" />
          <Tile name="Lost" value={number(seen.sessions.lost)} more="since the pool opened" tone={seen.sessions.lost ? "dead" : ""} />
          <Tile name="Opened" value={number(seen.sessions.opened)} more="since the pool opened" />
          <Tile name="Closed" value={number(seen.sessions.closed)} more="since the pool opened" />
        </dl>
      )}
      <Panel title="Sessions" note={`Oldest first, ${PAGE} at a time.`}>
        <div class="filters" role="group" aria-label="Filter">
          <Select name="state" label="State" options={STATES} />
          <Filter name="prefix" label="Begins with" />
          <Filter name="worker" label="Worker" isNumber />
        </div>
        {problem && <p class="problem">{problem}</p>}
        {value && !sessions.length && <Nothing>No session is here.</Nothing>}
        {sessions.length > 0 && <DataTable label="Sessions" columns={COLUMNS} rows={sessions} keyOf={(one) => one.number} />}
        <p class="pages">
          {after !== "0" && <Link to={{ after: null }}>First page</Link>}
          {sessions.length === PAGE && <Link to={{ after: String(sessions.at(-1)!.number) }}>Next page</Link>}
        </p>
      </Panel>
    </>
  );
}
