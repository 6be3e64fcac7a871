// Alerts: what fires comes first, then what may soon, the last changes, the silences, and the rules.

import { useAddress } from "../address";
import { useAnswer } from "../asking";
import { clock, duration, number } from "../format";
import { events, snapshot } from "../live";
import { Badge } from "../parts/badge";
import { Ask } from "../parts/dialog";
import { Nothing, Panel } from "../parts/panel";
import { DataTable } from "../parts/table";
import { command, IS_ADMIN, isMeasured, poolPath } from "../server";
import { useStore } from "../store";
import type { Alert, AlertRule, Alerts as Told, Silence } from "../types";

export function Alerts() {
  const seen = useStore(snapshot);
  const { pool } = useAddress();
  if (isMeasured(pool) && seen?.firing !== null) return seen && <Watched />;
  return (
    <Panel title="Alerts">
      <Nothing>This pool has none.</Nothing>
    </Panel>
  );
}

function Watched() {
  const { pool } = useAddress();
  const heard = useStore(events).find((one) => one.event.startsWith("alert.") || one.event === "pool.command")?.id;
  const { value, problem, again } = useAnswer<Told>(poolPath(pool, "/alerts"), 5, heard);
  if (!value) return <Panel title="Alerts">{problem && <p class="problem">{problem}</p>}</Panel>;
  const active = [...value.firing, ...value.pending];
  return (
    <>
      <Panel title={value.firing.length ? `${value.firing.length} firing` : "Nothing fires"}>
        {problem && <p class="problem">{problem}</p>}
        {!active.length && <Nothing>No alert fires, and none is about to.</Nothing>}
        <ul class="alerts">
          {active.map((one) => (
            <One key={one.fingerprint} pool={pool} one={one} again={again} />
          ))}
        </ul>
      </Panel>
      {value.silences.length > 0 && <Silences pool={pool} silences={value.silences} again={again} />}
      <Panel title="Last changes">
        {!value.history.length && <Nothing>No alert has fired yet.</Nothing>}
        {value.history.length > 0 && (
          <DataTable
            label="Last changes of alerts"
            columns={[
              { name: "At", cell: (one: Alert) => clock(one.resolved_at || one.fired_at) },
              { name: "Alert", isHead: true, cell: (one: Alert) => one.name },
              { name: "State", cell: (one: Alert) => <Badge state={one.state} /> },
              { name: "Lasted", isNumber: true, cell: (one: Alert) => (one.resolved_at ? duration(one.resolved_at - one.fired_at) : "–") },
              { name: "What", isText: true, cell: (one: Alert) => summary(one) },
            ]}
            rows={value.history}
            keyOf={(one) => `${one.fingerprint} ${one.state} ${one.fired_at}`}
          />
        )}
      </Panel>
      <Rules rules={value.rules} />
    </>
  );
}

function summary(one: Alert): string {
  return one.annotations["summary"] ?? "";
}

function One({ pool, one, again }: { pool: string; one: Alert; again: () => void }) {
  const state = one.silenced_by ? "silenced" : one.state;
  const runbook = one.annotations["runbook_url"];
  return (
    <li>
      <p>
        <Badge state={state} /> <b>{one.name}</b> {one.labels["severity"] && <span class="quiet">{one.labels["severity"]}</span>}
      </p>
      <p>{summary(one)}</p>
      {one.annotations["answer"] && <p class="quiet">{one.annotations["answer"]}</p>}
      <p class="quiet">
        Value {number(one.value)}, since {clock(one.fired_at || one.active_at)}
        {runbook && (
          <>
            , <a href={runbook}>what to do</a>
          </>
        )}
        .
      </p>
      {IS_ADMIN && !one.silenced_by && one.state === "firing" && (
        <Ask
          label="Silence…"
          title={`Silence ${one.name}?`}
          does="No notification is sent while the silence lasts. The alert stays on this page."
          verb="Silence"
          act={async (fields) => {
            const matchers = Object.entries({ alertname: one.name, ...one.labels }).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
            await command(pool, "silence", { matchers: matchers.join(", "), seconds: Number(fields.get("hours")) * 3600, comment: String(fields.get("comment")) });
            again();
          }}
        >
          <label>
            For how many hours
            <input name="hours" type="number" min="0.1" max="720" step="any" defaultValue="1" required />
          </label>
          <label>
            Why
            <input name="comment" maxLength={200} />
          </label>
        </Ask>
      )}
    </li>
  );
}

function Silences({ pool, silences, again }: { pool: string; silences: Silence[]; again: () => void }) {
  return (
    <Panel title="Silences">
      <ul class="alerts">
        {silences.map((one) => (
          <li key={one.id}>
            <p>
              <code>{one.matchers.join(", ")}</code> for {duration(one.seconds_left)} more, by {one.author || "the program"}
              {one.comment && `: ${one.comment}`}
            </p>
            {IS_ADMIN && (
              <Ask
                label="End it…"
                title="End this silence?"
                does="Notifications are sent again, of what fires now too."
                verb="End it"
                act={async () => {
                  await command(pool, "unsilence", { id: one.id });
                  again();
                }}
              />
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Rules({ rules }: { rules: AlertRule[] }) {
  return (
    <Panel title="Rules">
      <details>
        <summary>{number(rules.length)} rules are evaluated</summary>
        <DataTable
          label="Rules"
          columns={[
            { name: "Alert", isHead: true, cell: (one: AlertRule) => one.alert },
            { name: "State", cell: (one: AlertRule) => <Badge state={one.state} /> },
            { name: "Fires when", isText: true, cell: (one: AlertRule) => <code>{one.expr}</code> },
            { name: "Problem", isText: true, cell: (one: AlertRule) => one.problem },
          ]}
          rows={rules}
          keyOf={(one) => `${one.group} ${one.alert}`}
        />
      </details>
    </Panel>
  );
}
