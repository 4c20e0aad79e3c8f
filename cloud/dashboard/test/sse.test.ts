import { expect, test } from "vitest";

import { SseParser } from "../src/api/sse";

const STREAM = "event: sample\ndata: {\"a\":1}\n\n: heartbeat\n\ndata: two\ndata: lines\n\nevent: x\ndata\n\nevent: none\n\n";
const EVENTS = [
  { event: "sample", data: '{"a":1}' },
  { event: "message", data: "two\nlines" },
  { event: "x", data: "" },
];

test("events, comments, several data lines and an event without data", () => {
  expect(new SseParser().push(STREAM)).toEqual(EVENTS);
});

test.each(["\n", "\r\n", "\r"])("any line end, cut anywhere (%j)", (end) => {
  const text = STREAM.replaceAll("\n", end) + ":" + end;
  for (let cut = 0; cut <= text.length; cut++) {
    const parser = new SseParser();
    expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))]).toEqual(EVENTS);
  }
});

test("character by character", () => {
  const parser = new SseParser();
  expect([...STREAM].flatMap((piece) => parser.push(piece))).toEqual(EVENTS);
});

test("an unfinished event is not given", () => {
  expect(new SseParser().push("data: half")).toEqual([]);
  expect(new SseParser().push("data: half\n")).toEqual([]);
});
