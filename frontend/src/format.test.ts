import { expect, test } from "vitest";
import { bytes, count, duration, number, percent } from "./format";

test("what is no number is a dash", () => {
  for (const show of [number, percent, duration, bytes]) {
    expect([show(null), show(undefined), show(Number.NaN), show(Number.POSITIVE_INFINITY)]).toEqual(["–", "–", "–", "–"]);
  }
});

test("a duration has three digits and the unit that fits, and never rounds into the next one", () => {
  const shown = [0, 5e-7, 0.00064, 0.000_999_9, 0.0123, 0.999_9, 4.5, 99.4, 200, 3599, 3600, 7500, 90_000];
  expect(shown.map(duration)).toEqual([
    "0 s", "0.5 µs", "640 µs", "1 ms", "12.3 ms", "1 s", "4.5 s", "99.4 s", "3 min 20 s", "59 min 59 s", "1 h", "2 h 5 min", "1 d 1 h",
  ]);
});

test("a share that is not nothing is not shown as nothing, nor one that is not all as all", () => {
  expect([0, 0.0001, 0.0123, 0.0999, 0.5].map(percent)).toEqual(["0 %", "< 0.1 %", "1.2 %", "10 %", "50 %"]);
  expect([0.994, 0.998, 0.99951, 1].map(percent)).toEqual(["99 %", "99.8 %", "> 99.9 %", "100 %"]);
});

test("numbers and bytes have as many digits as can be read at a glance", () => {
  expect([0.04, 2.91, 18.5, 123.4, 12_345].map(number)).toEqual(["0.04", "2.91", "18.5", "123", "12,345"]);
  expect([0, 999, 1000, 42_100_000, -1].map(bytes)).toEqual(["0 B", "999 B", "1 kB", "42.1 MB", "–"]);
  expect([count(1, "call"), count(2, "call")]).toEqual(["1 call", "2 calls"]);
});
