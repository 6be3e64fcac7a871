import { expect, test } from "vitest";
import { parsed } from "./stream";

test("an event has its name, its number and its data", () => {
  expect(parsed('id: 7\nevent: worker.gone\ndata: {"a":1}')).toEqual({ id: "7", event: "worker.gone", data: '{"a":1}' });
});

test("data over several lines are one text", () => {
  expect(parsed("data: one\ndata:two")).toEqual({ id: "", event: "message", data: "one\ntwo" });
});

test("comments and settings are no events", () => {
  expect([parsed(": still here"), parsed("retry: 2000"), parsed("")]).toEqual([null, null, null]);
});
