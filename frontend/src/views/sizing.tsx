// The optimizer: how many workers it wanted and got, and each decision with what it saw, weighed, changed and found.

import { useAddress } from "../address";
import { useAnswer } from "../asking";
import { Size, Utilization } from "../charts/charts";
import { changes, parameters, shown } from "../decision";
import { clock, number, percent } from "../format";
import { events, snapshot } from "../live";
import { Ask } from "../parts/dialog";
import { Facts } from "../parts/facts";
import { Nothing, Panel } from "../parts/panel";
import { DataTable } from "../parts/table";
import { command, IS_ADMIN, isMeasured, poolPath } from "../server";
import { useStore } from "../store";
import type { Decision, Journal } from "../types";
import { sentence } from "../verdict";

export function Sizing() {
  const seen = useStore(snapshot);
  const { pool } = useAddress();
  if (!isMeasured(pool)) return <Unsized />;
  return (
    <>
      <section class="charts two" aria-label="Charts">
        <Size />
        <Utilization />
      </section>
      {seen && (seen.optimizer === null ? <Unsized /> : <Optimizer />)}
    </>
  );
}

function Unsized() {
  return (
    <Panel title="Optimizer">
      <Nothing>This pool has none: its number of workers stays within the bounds that were set.</Nothing>
    </Panel>
  );
}

function Optimizer() {
  const { pool } = useAddress();
  const heard = useStore(events).find((one) => one.event.startsWith("optimizer."))?.id;
  const { value, problem } = useAnswer<Journal>(poolPath(pool, "/journal?limit=100"), 0, heard);
  return (
    <Panel
      title={`Optimizer${value ? `: ${value.state}` : ""}`}
      note="It looks at the load again and again, and changes the rule by which the pool is sized. What it changes it checks, and takes back if it did not help."
      actions={IS_ADMIN && value && <Switch pool={pool} state={value.state} />}
    >
      {problem && <p class="problem">{problem}</p>}
      {value && (
        <details>
          <summary>The sizing rule in force</summary>
          <Facts facts={parameters(value.rule)} />
        </details>
      )}
      {value && !value.decisions.length && <Nothing>It has changed nothing yet.</Nothing>}
      <ol class="decisions">
        {value?.decisions.toReversed().map((one) => (
          <Entry key={one.number} one={one} />
        ))}
      </ol>
    </Panel>
  );
}

function Switch({ pool, state }: { pool: string; state: string }) {
  if (state === "running") {
    return (
      <Ask label="Pause…" title="Pause the optimizer?" does="The pool keeps the rule it has until the optimizer is resumed." verb="Pause" act={(fields) => command(pool, "pause", { reason: String(fields.get("reason")) || "asked to" })}>
        <label>
          Why (for the journal)
          <input name="reason" maxLength={200} />
        </label>
      </Ask>
    );
  }
  return <Ask label="Resume…" title="Resume the optimizer?" does="It goes on to size the pool by the load." verb="Resume" act={() => command(pool, "resume", {})} />;
}

const KINDS: Record<Decision["kind"], [word: string, tone: string]> = {
  change: ["changed", "busy"],
  refreshed: ["refreshed", "idle"],
  hold: ["held", "idle"],
  "taken back": ["taken back", "saturated"],
  command: ["by command", "busy"],
  none: ["no change", "idle"],
};

function Entry({ one }: { one: Decision }) {
  const [word, tone] = KINDS[one.kind];
  return (
    <li>
      <p>
        <time>{clock(one.wall)}</time> <span class={`badge ${tone}`}>{word}</span> <b>{sentence(one.reason)}</b>
      </p>
      {one.kind !== "hold" && <p>{sentence(changes(one))}</p>}
      {one.outcome && <p>What came of it: {sentence(one.outcome)}</p>}
      <details>
        <summary>What it saw and weighed</summary>
        <Inside one={one} />
      </details>
    </li>
  );
}

function Inside({ one }: { one: Decision }) {
  return (
    <>
      {one.policy && (
        <p>
          Policy: {one.policy}
          {one.plan && `, plan: ${one.plan}`}.
        </p>
      )}
      {one.guard.map((said) => (
        <p key={said}>Guard: {sentence(said)}</p>
      ))}
      {one.findings.length > 0 && (
        <ul class="findings">
          {one.findings.map((found) => (
            <li key={found.name}>
              {sentence(found.sentence)} <span class="quiet">({percent(found.confidence)} sure)</span>
            </li>
          ))}
        </ul>
      )}
      {Object.keys(one.inputs).length > 0 && (
        <Facts facts={Object.entries(one.inputs).map(([name, value]) => [name.replace(/_s$/, "").replaceAll("_", " "), shown(name, value)])} />
      )}
      {one.candidates.length > 0 && (
        <DataTable
          label="Rehearsed rules, the best first"
          columns={[
            { name: "Rehearsed", isHead: true, cell: (row) => row.name },
            { name: "Workers on average", isNumber: true, cell: (row) => number(row.workers) },
            { name: "Answered in time", isNumber: true, cell: (row) => percent(row.attainment) },
          ]}
          rows={one.candidates}
          keyOf={(row) => row.name}
        />
      )}
    </>
  );
}
