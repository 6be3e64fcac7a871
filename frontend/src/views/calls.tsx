// Calls by name and number, never with what they were given: at work, waiting, the slowest and the failed.

import { useAddress } from "../address";
import { useAnswer } from "../asking";
import { clock, count, DASH, duration, number } from "../format";
import { pools } from "../live";
import { Badge } from "../parts/badge";
import { Choices } from "../parts/choices";
import { Ask } from "../parts/dialog";
import { Filter, Select } from "../parts/filter";
import { Link } from "../parts/link";
import { Name } from "../parts/name";
import { Facts } from "../parts/facts";
import { Nothing, Panel } from "../parts/panel";
import { DataTable, type Column } from "../parts/table";
import { Stack } from "../parts/stack";
import { command, IS_ADMIN, poolPath } from "../server";
import { useStore } from "../store";
import type { Call } from "../types";

const SHOWS = [
  ["running", "Running"],
  ["waiting", "Waiting"],
  ["slowest", "Slowest"],
  ["failed", "Failed"],
] as const;
type Show = (typeof SHOWS)[number][0];

const NOTES: Record<Show, string> = {
  running: "Calls that workers are at, the longest first.",
  waiting: "Calls that wait for a worker or for their session, the longest first.",
  slowest: "The slowest of the last 15 minutes, from their submission to their end.",
  failed: "The last calls that were not answered, newest first.",
};
const NONE: Record<Show, string> = {
  running: "No call is running.",
  waiting: "No call waits.",
  slowest: "No call ended in the last 15 minutes.",
  failed: "No call failed.",
};
const MOST = 100;

export function Calls() {
  const address = useAddress();
  const { pool } = address;
  const show = SHOWS.find(([name]) => name === address.choice("show"))?.[0] ?? "running";
  const filters = ["operation", "worker", "session", "code"].map((name) => [name, address.choice(name)] as const).filter(([, value]) => value);
  const query = new URLSearchParams({ show, limit: String(MOST), ...Object.fromEntries(filters) });
  const answer = useAnswer<{ calls: Call[]; of: number }>(poolPath(pool, `/calls?${query}`), show === "slowest" ? 5 : 1);
  const operations = useStore(pools).find((one) => one.name === pool)?.operations ?? [];
  const calls = answer.value?.calls ?? [];
  const id = address.choice("call");
  return (
    <>
      {id && <One key={id} pool={pool} id={id} />}
      <Panel title="Calls" note={NOTES[show]} actions={<Choices label="Which calls" name="show" current={show} options={SHOWS} />}>
        <div class="filters" role="group" aria-label="Filter">
          <Select name="operation" label="Operation" options={operations} />
          <Filter name="session" label="Session" />
          <Filter name="worker" label="Worker" isNumber />
          {show === "failed" && <Filter name="code" label="Code" />}
          <Filter name="call" label="Open call" isNumber />
        </div>
        {answer.problem && <p class="problem">{answer.problem}</p>}
        {answer.value && !calls.length && <Nothing>{filters.length ? "None fits the filter." : NONE[show]}</Nothing>}
        {calls.length > 0 && <DataTable label={NOTES[show]} columns={columnsOf(show)} rows={calls} keyOf={(one) => one.call_id} />}
        {answer.value && answer.value.of > calls.length && (
          <p class="note">
            {number(calls.length)} of {count(answer.value.of, "call")}.
          </p>
        )}
      </Panel>
    </>
  );
}

function columnsOf(show: Show): Column<Call>[] {
  const isEnded = show === "slowest" || show === "failed";
  return [
    { name: "Call", isHead: true, cell: (one) => <Link to={{ call: String(one.call_id) }}>{one.call_id}</Link> },
    { name: "Operation", cell: (one) => <Name text={one.operation} /> },
    ...(isEnded ? [{ name: "Ended", cell: (one: Call) => clock(one.wall) }, { name: "As", cell: (one: Call) => <Ending one={one} /> }] : []),
    { name: isEnded ? "Took" : "Age", isNumber: true, cell: (one) => duration(one.age_s) },
    { name: "Waited", isNumber: true, cell: (one) => duration(one.wait_s) },
    { name: "Ran", isNumber: true, cell: (one) => duration(one.run_s) },
    ...(isEnded ? [] : [{ name: "Deadline in", isNumber: true, cell: (one: Call) => duration(one.deadline_left_s) }]),
    { name: "Worker", isNumber: true, cell: (one) => one.worker ?? "–" },
    { name: "Session", cell: (one) => (one.session ? <Name text={one.session} /> : "–") },
    { name: "Attempts", isNumber: true, cell: (one) => number(one.attempts) },
  ];
}

function Ending({ one }: { one: Call }) {
  const state = one.ending ?? one.state;
  return (
    <>
      <Badge state={state} /> {one.code && <code>{one.code}</code>}
    </>
  );
}

const OUTCOMES: Record<string, string> = {
  not_started: "It had not started: a retry is safe.",
  unknown: "It may have run, in part or as a whole.",
  completed: "It ran to its end.",
};

/** One call, opened by its number. */
function One({ pool, id }: { pool: string; id: string }) {
  const answer = useAnswer<Call>(poolPath(pool, `/calls/${encodeURIComponent(id)}`), 1);
  const one = answer.value;
  return (
    <Panel
      title={`Call ${id}`}
      actions={
        <>
          {IS_ADMIN && one && one.state !== "ended" && (
            <Ask label="Cancel it…" title={`Cancel call ${id}?`} does="Its caller is told that it was cancelled; its worker is interrupted." verb="Cancel the call" isGrave act={() => command(pool, "cancel", { call_id: one.call_id })} />
          )}
          <Link to={{ call: null }}>Close</Link>
        </>
      }
    >
      {answer.problem && <p class="problem">{answer.problem}</p>}
      {one && (
        <>
          <Facts
            facts={[
              ["State", <Ending one={one} />],
              ["Operation", <Name text={one.operation} />],
              [one.state === "ended" ? "Took" : "Age", duration(one.age_s)],
              ["Waited", duration(one.wait_s)],
              ["Ran", duration(one.run_s)],
              ["Deadline in", duration(one.deadline_left_s)],
              ["Worker", one.worker ?? DASH],
              ["Session", one.session ? <Name text={one.session} /> : DASH],
              ["Attempts", number(one.attempts)],
              ["Priority", number(one.priority)],
              ...(one.wall === null ? [] : ([["Ended", clock(one.wall)]] as const)),
            ]}
          />
          {one.outcome && <p>{OUTCOMES[one.outcome] ?? one.outcome}</p>}
          {one.stderr_tail && (
            <>
              <h3>What its worker wrote last</h3>
              <pre tabIndex={0}>{one.stderr_tail}</pre>
            </>
          )}
          {IS_ADMIN && one.state === "running" && one.worker !== null && <Stack pool={pool} worker={one.worker} title="Stack of its worker now" />}
        </>
      )}
    </Panel>
  );
}
