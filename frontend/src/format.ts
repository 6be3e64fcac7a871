// Numbers as people read them: three digits and a unit. What is no number is a dash.

import type { Figure } from "./types";

export const DASH = "–";

export function isNumber(value: Figure | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** 1,234 or 12.3 or 0.04: three digits, at least those before the point. */
export function number(value: Figure | undefined): string {
  if (!isNumber(value)) return DASH;
  const size = Math.abs(value);
  const digits = Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** 31k, 1.2M: for the ticks of axes. */
export function short(value: Figure | undefined): string {
  if (!isNumber(value)) return DASH;
  return value.toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 });
}

export function percent(share: Figure | undefined): string {
  if (!isNumber(share)) return DASH;
  const value = share * 100;
  if (value < 100 && value >= 99.5) return value < 99.95 ? `${(Math.floor(value * 10) / 10).toFixed(1)} %` : "> 99.9 %";
  const digits = value > 0 && value < 9.95 ? 1 : 0;
  if (value > 0 && value < 0.05) return "< 0.1 %";
  return `${value.toLocaleString("en", { maximumFractionDigits: digits })} %`;
}

/** 640 µs, 12.3 ms, 4.5 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function duration(seconds: Figure | undefined): string {
  if (!isNumber(seconds)) return DASH;
  if (seconds === 0) return "0 s";
  if (seconds < 0.000_999_5) return `${three(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${three(seconds * 1e3)} ms`;
  if (seconds < 99.5) return `${three(seconds)} s`;
  if (seconds < 3600) return two(seconds, 60, "min", 1, "s");
  if (seconds < 86_400) return two(seconds, 3600, "h", 60, "min");
  return two(seconds, 86_400, "d", 3600, "h");
}

function three(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function two(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const whole = Math.floor(seconds / large);
  const rest = Math.floor((seconds - whole * large) / small);
  return rest ? `${whole} ${largeName} ${rest} ${smallName}` : `${whole} ${largeName}`;
}

export function bytes(value: Figure | undefined): string {
  if (!isNumber(value) || value < 0) return DASH;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let left = value;
  while (left >= 999.5 && at < units.length - 1) {
    left /= 1000;
    at += 1;
  }
  return `${three(left)} ${units[at]}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** The time of day, with the day if it was another. */
export function clock(wall: Figure | undefined): string {
  if (!isNumber(wall)) return DASH;
  const then = new Date(wall * 1000);
  const isToday = then.toDateString() === new Date().toDateString();
  return (isToday ? CLOCK : DAY).format(then);
}

/** `1 worker`, `2 workers`. */
export function count(value: number, noun: string, plural = `${noun}s`): string {
  return `${number(value)} ${value === 1 ? noun : plural}`;
}
