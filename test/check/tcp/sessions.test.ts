import { expect, test } from "bun:test";
import { Failure } from "../../../src/client/failure.ts";
import { problemsOf } from "../../../src/diagnose/check/tcp/judge.ts";
import type { FlowSeen } from "../../../src/diagnose/check/tcp/seen.ts";
import { banner } from "../fixtures.ts";
import { ended, INFO, only, seen, ten, unconnected, wrong } from "./fixtures.ts";

test("connected, and then neither banner nor echo: silent", () => {
  const flows = ten((number) => ended(number, "silent", 0));
  expect(problemsOf(seen(flows))).toEqual([
    {
      code: "silent",
      flow: "tcp 10.244.3.9:40000 > 10.96.0.7:1234",
      says: "all 10 sessions connected, then neither banner nor echo came in 2.00 s",
      likely:
        "the server is stopped or hangs (the kernel accepts for it), or a proxy has accepted for one that is not there",
      where: "far_end",
      next: "tcpdump -ni any host 10.96.0.7 and tcp port 1234 and port 40000",
    },
  ]);
});

test("what fell silent later is the same problem, and says after how much", () => {
  const greeting = banner("10.96.0.7:1234", "10.244.3.9:1", { pod: "server1-abc", namespace: "echo" });
  const flows = ten((number) => {
    if (number === 2) return ended(number, "silent", 5, { banner: greeting });
    if (number === 3) return ended(number, "silent", 7);
    if (number === 4) return ended(number, "silent", 0, { banner: greeting });
    return number > 4 ? ended(number, "silent", 0) : null;
  });
  const problem = only(problemsOf(seen(flows)));
  expect(problem.says).toBe(
    "5 of 10 sessions connected, then neither banner nor echo came, 1 of 10 sessions got a banner and no echo " +
      "and 2 of 10 sessions fell silent after 320 to 448 echoed bytes in 2.00 s",
  );
  expect(problem.next).toBe("kubectl logs -n echo server1-abc -c tcp --tail=50");
  expect(problem.likely).toStartWith("one backend: the server is stopped");
});

test("sessions that end early say how, and after how many echoed bytes", () => {
  const flows = ten((number) => {
    if (number < 2) return ended(number, "reset", 5 + number);
    return number < 5 ? ended(number, "closed", 0) : null;
  });
  expect(problemsOf(seen(flows))).toMatchObject([
    {
      code: "reset",
      bytes: 320,
      flow: "tcp 10.244.3.9:40000 > 10.96.0.7:1234",
      says: "2 of 10 sessions were reset after 320 to 384 echoed bytes",
      where: "far_end",
    },
    {
      code: "closed",
      bytes: 0,
      flow: "tcp 10.244.3.9:40002 > 10.96.0.7:1234",
      says: "3 of 10 sessions were closed by the other end after 0 echoed bytes",
    },
  ]);
});

test("sessions that are turned away are one problem, be they closed, reset, or reset before they were told", () => {
  const flows = ten((number) => {
    if (number === 0) return unconnected(0, new Failure("reset", 0, "ECONNRESET"));
    return number < 5 ? ended(number, "reset", 0) : null;
  });
  expect(only(problemsOf(seen(flows)))).toMatchObject({
    code: "reset",
    bytes: 0,
    says: "5 of 10 sessions were reset after 0 echoed bytes",
    where: "far_end",
  });
  flows[7] = ended(7, "closed", 0);
  expect(only(problemsOf(seen(flows)))).toMatchObject({
    code: "closed",
    flow: "tcp 10.244.3.9:40000 > 10.96.0.7:1234",
    says: "6 of 10 sessions were closed or reset by the other end after 0 echoed bytes",
  });
});

test("a session that the kernel gave up is silent, one that ICMP broke is unreachable, by nobody that is told", () => {
  expect(only(problemsOf(seen([ended(0, "timeout", 5)]))).code).toBe("silent");
  expect(only(problemsOf(seen([ended(0, "unreachable", 5)])))).toMatchObject({
    code: "unreachable",
    by: null,
    says: "the session was broken by an ICMP message after 320 echoed bytes",
    where: "path",
  });
});

test("changed bytes say which byte of which echo", () => {
  const flows = ten((number) => (number < 3 ? ended(number, "corrupted", 4, { wrong: wrong() }) : null));
  expect(only(problemsOf(seen(flows)))).toMatchObject({
    code: "corrupted",
    count: 3,
    flow: "tcp 10.244.3.9:40000 > 10.96.0.7:1234",
    says: "3 of 10 sessions got changed bytes back: the first is byte 37 of echo 5 of 20",
    where: "path",
  });
  const bulk = wrong({ message: 20, byte: 99_999 });
  expect(only(problemsOf(seen([ended(0, "corrupted", 20, { wrong: bulk })]))).says).toBe(
    "the session got changed bytes back: the first is byte 100,000 of the bulk of 1,048,576 bytes",
  );
});

test("foreign bytes are shown where they are text, and another session's are said to be that", () => {
  const saysOf = (spoilt: Partial<ReturnType<typeof wrong>>): string => {
    const foreign = wrong({ what: "foreign", message: 0, byte: 0, ...spoilt });
    const problem = only(problemsOf(seen([ended(0, "corrupted", 0, { wrong: foreign })])));
    expect(problem).toMatchObject({ code: "foreign", count: 1, where: "far_end" });
    return problem.says;
  };
  const never = "the session got bytes that were never sent from here, in place of echo 1 of 20";
  expect(saysOf({ received: Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n") })).toBe(
    `${never}: "HTTP/1.1 400 Bad Request"`,
  );
  expect(saysOf({ received: Buffer.from("\x1b[31mred\n") })).toBe(never);
  expect(saysOf({ received: Buffer.from([0xec, 1, 2, 3, 255, 254]) })).toBe(never);
  expect(saysOf({ crossed: true })).toBe(
    "the session got what another session of this check had sent, in place of echo 1 of 20",
  );
});

test("an earlier message that came again is duplicated", () => {
  const again = wrong({ what: "duplicated", message: 1, byte: 11 });
  expect(only(problemsOf(seen([ended(0, "corrupted", 1, { wrong: again })])))).toMatchObject({
    code: "duplicated",
    count: 1,
    says: "the session got an earlier message again in place of echo 2 of 20",
  });
});

test("a session whose last bytes nobody acknowledges points at the path, one that a kernel accepts for at the far end", () => {
  const cut = (acknowledgedBytes: number, retransmits: number): FlowSeen[] => [
    ended(0, "silent", 3, { info: { ...INFO, acknowledgedBytes }, retransmits }),
  ];
  const unheard = only(problemsOf(seen(cut(3 * 64 + 1, 4))));
  expect(unheard).toMatchObject({ code: "silent", where: "path" });
  expect(unheard.likely).toStartWith("what was sent last does not arrive");
  expect(only(problemsOf(seen(cut(4 * 64 + 1, 0)))).where).toBe("far_end");
});
