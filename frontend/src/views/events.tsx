// What happened since the page was opened, newest first.

import { useAddress } from "../address";
import { clock, duration, isNumber } from "../format";
import { events } from "../live";
import { Filter } from "../parts/filter";
import { Nothing, Panel } from "../parts/panel";
import { DataTable, type Column } from "../parts/table";
import { useStore } from "../store";
import type { Figure, PoolEvent } from "../types";

const COLUMNS: Column<PoolEvent>[] = [
  { name: "At", cell: (one) => clock(one.wall) },
  { name: "Event", isHead: true, cell: (one) => <code>{one.event}</code> },
  { name: "What", isText: true, cell: (one) => facts(one) },
];

export function Events() {
  const wanted = useAddress().choice("name").trim().toLowerCase();
  const all = useStore(events);
  const shown = wanted ? all.filter((one) => `${one.event} ${facts(one)}`.toLowerCase().includes(wanted)) : all;
  return (
    <Panel title="Events" note="What happened since this page was opened, newest first, the last 500. Calls have a view of their own; sessions that move or fall asleep are counted there.">
      <div class="filters" role="group" aria-label="Filter">
        <Filter name="name" label="Contains" />
      </div>
      {shown.length ? <DataTable label="Events" columns={COLUMNS} rows={shown} keyOf={(one) => one.id} /> : <Nothing>{all.length ? "None contains that." : "Nothing has happened yet."}</Nothing>}
    </Panel>
  );
}

const KNOWN = ["id", "wall", "event"];

function facts(one: PoolEvent): string {
  return Object.entries(one)
    .filter(([name, value]) => !KNOWN.includes(name) && value !== null && value !== "")
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${shown(name, value)}`)
    .join(", ");
}

function shown(name: string, value: unknown): string {
  if (name === "seconds" && isNumber(value as Figure)) return duration(value as number);
  return typeof value === "string" ? value : JSON.stringify(value);
}
