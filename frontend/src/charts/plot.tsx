// One chart: lines over time by uPlot, a legend with the values at the pointer or of this moment, and the numbers as a
// table for who cannot or does not want to see it drawn.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Range } from "../address";
import { clock, DASH, isNumber } from "../format";
import type { Figure } from "../types";
import { colour, onTheme } from "./theme";

export interface Line {
  name: string;
  colour: string; // the name of a CSS variable
  dash?: number[];
  fill?: boolean;
  step?: boolean;
  axis?: "right";
  width?: number;
}

export interface PlotProps {
  title: string;
  lines: Line[];
  data: [number[], ...Figure[][]];
  range: Range;
  format: (value: Figure) => string; // in the legend and the table
  tick: (value: Figure) => string; // at the axis, short
  rightFormat?: (value: Figure) => string;
  most?: number; // the top of the axis is at least this
  rightMost?: number;
  logarithmic?: [low: number, high: number];
  behind?: (plot: uPlot) => void; // draws below the lines
  height?: number;
  note?: string;
}

const TABLE_ROWS = 60;

export function Plot(props: PlotProps) {
  const [at, setAt] = useState<number | null>(null);
  const [isTable, setTable] = useState(false);
  const { lines, data, title } = props;
  const last = data[0].length - 1;
  const place = at !== null && at <= last ? at : last;
  const when = at === null ? "now" : clock(data[0][place]);
  return (
    <figure class="plot">
      <figcaption>
        <h3>{title}</h3>
        <button class="link" type="button" aria-pressed={isTable} aria-label={`${title}: numbers as a table`} onClick={() => setTable(!isTable)}>
          {isTable ? "Chart" : "Table"}
        </button>
      </figcaption>
      <ul class="legend">
        {lines.map((line, index) => (
          <li key={line.name}>
            <Swatch line={line} />
            {line.name} <b>{formatOf(props, line)(data[index + 1]?.[place] ?? null)}</b>
          </li>
        ))}
        <li class="when">{last >= 0 ? when : ""}</li>
      </ul>
      {isTable ? <Numbers {...props} /> : <Canvas {...props} onPoint={setAt} />}
      {props.note && <p class="note">{props.note}</p>}
    </figure>
  );
}

function formatOf(props: PlotProps, line: Line): (value: Figure) => string {
  return line.axis === "right" && props.rightFormat ? props.rightFormat : props.format;
}

function Swatch({ line }: { line: Line }) {
  return (
    <svg class="swatch" viewBox="0 0 20 8" aria-hidden="true">
      <path d="M0 4H20" stroke={`var(${line.colour})`} stroke-width={line.fill ? 8 : 2.5} stroke-dasharray={line.dash?.join(" ")} />
    </svg>
  );
}

/** What the chart shows, in a sentence. */
function described(props: PlotProps): string {
  const parts = props.lines.map((line, index) => {
    const values = (props.data[index + 1] ?? []).filter(isNumber);
    const format = formatOf(props, line);
    if (!values.length) return `${line.name}: nothing yet`;
    const highest = values.reduce((a, b) => Math.max(a, b));
    return `${line.name}: ${format(values.at(-1)!)} now, at most ${format(highest)}`;
  });
  return `${props.title}, last ${props.range.name}. ${parts.join("; ")}.`;
}

function Canvas(props: PlotProps & { onPoint: (at: number | null) => void }) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const now = useRef(props);
  now.current = props;
  const shape = JSON.stringify(props.lines) + (props.logarithmic?.join() ?? "");
  useEffect(() => {
    const element = frame.current!; // which the observer may tell of once more after it has left the page
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(now, element), now.current.data as uPlot.AlignedData, element);
    };
    draw();
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (plot.current && width && width !== plot.current.width) plot.current.setSize({ width, height: plot.current.height });
    });
    observer.observe(element);
    const forget = onTheme(draw);
    return () => {
      observer.disconnect();
      forget();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(props.data as uPlot.AlignedData), [props.data]);
  return (
    <div class="canvas" role="img" aria-label={described(props)} ref={frame}>
      {!props.data[0].length && <p class="nothing">Nothing was counted in this time.</p>}
    </div>
  );
}

function options(now: { current: PlotProps & { onPoint: (at: number | null) => void } }, frame: HTMLElement): uPlot.Options {
  const props = now.current;
  const axis = { stroke: colour("--quiet"), font: "12px system-ui, sans-serif", ticks: { show: false } };
  const grid = { stroke: colour("--grid"), width: 1 };
  const hasRight = props.lines.some((line) => line.axis === "right");
  return {
    width: Math.max(80, frame.clientWidth),
    height: props.height ?? 200,
    padding: [10, hasRight ? 0 : 8, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: "time" }, points: { size: 7 }, drag: { x: false, y: false }, y: false },
    scales: {
      x: { time: true, range: () => span(now.current) },
      y: props.logarithmic
        ? { distr: 3, range: () => now.current.logarithmic! }
        : { range: (_, __, high) => [0, Math.max((high || 0) * 1.05, now.current.most ?? 1)] },
      right: { range: (_, __, high) => [0, Math.max((high || 0) * 1.05, props.rightMost ?? 1)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 70, values: times },
      { ...axis, grid, size: 54, space: 36, values: (_, ticks) => ticks.map(props.tick), ...(props.logarithmic ? { splits: () => powers(now.current.logarithmic!), filter: (_: uPlot, splits: number[]) => splits } : {}) },
      ...(hasRight
        ? [{ ...axis, grid: { show: false }, scale: "right", side: 1 as const, size: 54, space: 36, values: (_: uPlot, ticks: number[]) => ticks.map((tick) => props.rightFormat!(tick)) }]
        : []),
    ],
    series: [{}, ...props.lines.map(series)],
    hooks: {
      drawAxes: [(plot) => now.current.behind?.(plot)],
      setCursor: [(plot) => now.current.onPoint(plot.cursor.idx ?? null)],
    },
  };
}

/** 1 and 3 times each power of ten, as far as there are few enough. */
function powers([low, high]: [number, number]): number[] {
  const factors = Math.log10(high / low) > 2.5 ? [1] : [1, 3];
  const first = Math.floor(Math.log10(low));
  const ticks = Array.from({ length: 12 }, (_, power) => factors.map((factor) => factor * 10 ** (first + power))).flat();
  return ticks.filter((tick) => tick >= low && tick <= high);
}

/** The whole range up to the newest step, whatever part of it there is. */
function span({ data, range }: PlotProps): [number, number] {
  const end = data[0].at(-1) ?? Date.now() / 1000;
  return [end - range.seconds, end];
}

const MINUTES = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function times(_: uPlot, ticks: number[], __: number, ___: number, step: number): string[] {
  const format = step < 60 ? SECONDS : MINUTES;
  return ticks.map((tick) => format.format(new Date(tick * 1000)));
}

function series(line: Line): uPlot.Series {
  const stroke = colour(line.colour);
  return {
    label: line.name,
    scale: line.axis === "right" ? "right" : "y",
    stroke,
    width: line.width ?? 1.75,
    ...(line.dash ? { dash: line.dash } : {}),
    ...(line.fill ? { fill: colour(line.colour, 0.22) } : {}),
    ...(line.step ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
    points: { show: true, size: 4, fill: stroke, filter: lone },
    spanGaps: false,
  };
}

/** Values between gaps, which are no line. */
function lone(plot: uPlot, index: number): number[] {
  const values = plot.data[index] as Figure[];
  return values.flatMap((value, at) => (value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []));
}

/** The newest numbers, at most an hour's worth of rows; a long range is told in its own steps. */
function Numbers(props: PlotProps) {
  const { data, lines } = props;
  const count = data[0].length;
  const first = Math.max(0, count - TABLE_ROWS);
  const rows = Array.from({ length: count - first }, (_, index) => count - 1 - index).filter((row) => lines.some((_, line) => isNumber(data[line + 1]?.[row])));
  return (
    <div class="numbers" tabIndex={0} role="region" aria-label={`${props.title}, numbers`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {lines.map((line) => (
              <th scope="col" class="number" key={line.name}>
                {line.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={data[0][row]}>
              <th scope="row">{clock(data[0][row])}</th>
              {lines.map((line, index) => (
                <td class="number" key={line.name}>
                  {data[index + 1]?.[row] == null ? DASH : formatOf(props, line)(data[index + 1]![row]!)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
