import { expect, test } from "bun:test";
import { newRun } from "../../../src/client/payload.ts";
import { messageOf, whatCame } from "../../../src/diagnose/check/tcp/messages.ts";

const key = { run: newRun(), flow: 3 };
const messages = { key, size: 64 };
const due = messageOf(messages, 5);

function judge(received: Uint8Array, size = 64) {
  const own = { key, size };
  const { what, crossed, byte } = whatCame(own, 5, messageOf(own, 5), received);
  return [what, crossed, byte];
}

test("one changed byte, wherever it is, is corrupted", () => {
  for (const size of [4, 8, 64]) {
    const right = messageOf({ key, size }, 5);
    for (let at = 0; at < size; at++) {
      const changed = Uint8Array.from(right);
      changed[at]! ^= 1;
      expect([size, at, ...judge(changed, size)]).toEqual([size, at, "corrupted", false, at]);
    }
  }
});

test("a message with a byte missing or one too many is corrupted", () => {
  const without = Buffer.concat([
    due.subarray(0, 30),
    due.subarray(31),
    messageOf(messages, 6).subarray(0, 1),
  ]);
  expect(judge(without)).toEqual(["corrupted", false, 30]);
  const withOne = Buffer.concat([due.subarray(0, 30), Buffer.from([due[30]! ^ 255]), due.subarray(30)]);
  expect(judge(withOne)).toEqual(["corrupted", false, 30]);
});

test("an earlier message that came again is duplicated, whatever follows it", () => {
  const earlier = messageOf(messages, 4);
  expect(judge(earlier)[0]).toBe("duplicated");
  expect(judge(Buffer.concat([earlier, due]))[0]).toBe("duplicated");
});

test("a later message in the place of one that is missing is corrupted: something drops bytes", () => {
  for (const size of [8, 64]) {
    const own = { key, size };
    const later = messageOf(own, 6);
    expect(whatCame(own, 5, messageOf(own, 5), later, 8).what).toBe("corrupted");
    expect(whatCame(own, 5, messageOf(own, 5), messageOf(own, 4), 8).what).toBe("duplicated");
  }
});

test("another session's message is foreign and crossed, another run's or text is foreign", () => {
  expect(judge(messageOf({ key: { ...key, flow: 4 }, size: 64 }, 5)).slice(0, 2)).toEqual(["foreign", true]);
  expect(judge(messageOf({ key: { run: newRun(), flow: 3 }, size: 64 }, 5)).slice(0, 2)).toEqual([
    "foreign",
    false,
  ]);
  expect(judge(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")).slice(0, 2)).toEqual(["foreign", false]);
});
