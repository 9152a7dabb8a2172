import { expect, test } from "bun:test";
import { Failure, type FailureCode } from "../../../src/client/failure.ts";
import { problemsOf } from "../../../src/diagnose/check/tcp/judge.ts";
import { end } from "../fixtures.ts";
import { ASKED, flow, only, SETTINGS, seen, ten, unconnected } from "./fixtures.ts";

const icmp = (by: string) => ({ by: end(`${by}:0`).address, to: ASKED.endpoint, mtu: null });

test("all connects that a reset refuses are one problem, which names the first flow", () => {
  const flows = ten((number) => unconnected(number, new Failure("refused", 0, "ECONNREFUSED")));
  expect(problemsOf(seen(flows))).toEqual([
    {
      code: "refused",
      by: null,
      flow: "tcp 10.244.3.9:40000 > 10.96.0.7:1234",
      says: "all 10 connects were refused by a reset",
      likely: "nothing listens on that port, or a firewall answers for it",
      where: "far_end",
      next: "kubectl get endpointslices -l kubernetes.io/service-name=echo-server",
    },
  ]);
});

test("a refusal by ICMP names who sent it: on the way, or the far end itself", () => {
  const refusal = (by: string) => new Failure("refused", 0, "ECONNREFUSED", null, icmp(by));
  const router = only(problemsOf(seen([unconnected(0, refusal("10.244.3.1"))])));
  expect(router).toMatchObject({ code: "refused", by: "10.244.3.1", where: "path" });
  expect(router.says).toBe("the connect was refused by 10.244.3.1 (ICMP port unreachable)");
  expect(only(problemsOf(seen([unconnected(0, refusal("10.96.0.7"))])))).toMatchObject({
    by: "10.96.0.7",
    where: "far_end",
  });
  expect(only(problemsOf(seen([unconnected(0, refusal("10.244.3.9"))])))).toMatchObject({
    by: "10.244.3.9",
    where: "this_machine",
  });
  const both = [unconnected(0, refusal("10.96.0.7")), unconnected(1, new Failure("refused"))];
  expect(problemsOf(seen(both)).map(({ by }) => by)).toEqual(["10.96.0.7", null]);
});

test("who hears nothing beside one who tells by ICMP is of the same fault: systems send few such news", () => {
  const told = new Failure("unreachable", 0, "ENETUNREACH", null, icmp("10.244.3.1"));
  const flows = ten((number) => unconnected(number, number < 4 ? told : new Failure("timeout")));
  const problem = only(problemsOf(seen(flows)));
  expect(problem).toMatchObject({ code: "unreachable", by: "10.244.3.1" });
  expect(problem.says).toBe(
    "4 of 10 connects found no way there, says 10.244.3.1 by ICMP (ENETUNREACH); 6 more got no answer",
  );
  const reset = ten((number) => unconnected(number, new Failure(number < 4 ? "refused" : "timeout")));
  expect(problemsOf(seen(reset)).map(({ code }) => code)).toEqual(["refused", "timeout"]);
});

test("a zone that is no interface here is named", () => {
  const asked = { ...ASKED, name: "fe80::1%nope", endpoint: end("[fe80::1%nope]:1234") };
  const flows = [unconnected(0, new Failure("unreachable", 0, "ENODEV"), { own: null })];
  expect(only(problemsOf(seen(flows, { asked })))).toMatchObject({
    code: "unreachable",
    likely: "this machine has no interface nope",
    where: "this_machine",
    next: "ip link",
  });
});

test("where some sessions are well and some refused, one backend is likely", () => {
  const flows = ten((number) => (number % 3 === 1 ? unconnected(number, new Failure("refused")) : null));
  expect(only(problemsOf(seen(flows)))).toMatchObject({
    flow: "tcp 10.244.3.9:40001 > 10.96.0.7:1234",
    says: "3 of 10 connects were refused by a reset",
    likely: "one backend does not listen and is still in rotation",
  });
});

test("what Bun's sockets do not tell is said to be either", () => {
  const flows = [unconnected(0, new Failure("refused_or_unreachable", 0, "ECONNREFUSED"))];
  const problem = only(problemsOf(seen(flows, { bySystemCalls: false })));
  expect(problem).toMatchObject({ code: "refused", by: null, where: "path" });
  expect(problem.says).toBe(
    "the connect was refused, or found no way there: the sockets of this system do not tell which",
  );
});

test("a refusal that Bun's sockets tell is not said to be a reset", () => {
  const flows = [unconnected(0, new Failure("refused", 0, "ECONNREFUSED"))];
  expect(only(problemsOf(seen(flows, { bySystemCalls: false }))).says).toBe("the connect was refused");
});

test("no way there points at this machine, at the link, or at who says so", () => {
  const cases: [Failure, object][] = [
    [
      new Failure("unreachable", 0, "ENETUNREACH"),
      { where: "this_machine", by: null, next: "ip route get 10.96.0.7" },
    ],
    [new Failure("unreachable", 0, "EHOSTUNREACH"), { where: "path", by: null }],
    [
      new Failure("unreachable", 0, "EHOSTUNREACH", null, icmp("10.0.0.1")),
      { where: "path", by: "10.0.0.1" },
    ],
    [
      new Failure("unreachable", 0, "EHOSTUNREACH", null, icmp("10.244.3.9")),
      { where: "far_end", by: "10.244.3.9" },
    ],
    [
      new Failure("unreachable", 0, "EHOSTUNREACH", null, icmp("10.96.0.7")),
      { where: "far_end", by: "10.96.0.7" },
    ],
    [new Failure("not_permitted_here", 0, "EPERM"), { where: "this_machine" }],
    [new Failure("no_such_address", 0, "EADDRNOTAVAIL"), { where: "this_machine" }],
    [new Failure("fault", 0, "EPROTO"), { where: "this_machine" }],
  ];
  for (const [failure, facts] of cases) {
    const problem = only(problemsOf(seen([unconnected(0, failure)])));
    expect(problem).toMatchObject({ code: "unreachable", ...facts });
    expect(problem.says).toContain(failure.detail);
  }
});

test("a route of this machine that forbids it points here: there is no end that it would leave from", () => {
  const forbidden = unconnected(0, new Failure("unreachable", 0, "EHOSTUNREACH"), { own: null });
  expect(only(problemsOf(seen([forbidden])))).toMatchObject({ where: "this_machine", flow: null });
});

test("nothing at all is a timeout, after 8 s whatever the timeout", () => {
  const flows = ten((number) => (number < 4 ? unconnected(number, new Failure("timeout")) : null));
  expect(only(problemsOf(seen(flows)))).toMatchObject({
    code: "timeout",
    says: "4 of 10 connects got no answer at all in 8.00 s",
    likely: "one backend is gone and still in rotation",
    where: "path",
  });
  const settings = { ...SETTINGS, timeoutMs: 12_000 };
  const slow = only(problemsOf(seen([unconnected(0, new Failure("timeout"))], { settings })));
  expect(slow.says).toBe("the connect got no answer at all in 12.0 s");
  expect(slow.likely).toContain("dropped on the way");
});

test("this machine's own ends are not the network's", () => {
  const codes: [FailureCode, string, string][] = [
    ["no_ports_here", "no_ports_here", "no source port is left for session 2"],
    ["no_descriptors_here", "no_descriptors_here", "no descriptor left for session 2"],
    ["no_buffers_here", "no_descriptors_here", "no memory left for session 2"],
  ];
  for (const [failure, code, says] of codes) {
    const problem = only(problemsOf(seen([flow(0), unconnected(1, new Failure(failure, 0, "EMFILE"))])));
    expect(problem).toMatchObject({ code, where: "this_machine" });
    expect(problem.says).toContain(says);
  }
  const settings = { ...SETTINGS, source: { port: 40_112 } };
  const taken = unconnected(0, new Failure("port_in_use_here", 0, "EADDRINUSE"));
  expect(only(problemsOf(seen([taken], { settings })))).toMatchObject({
    code: "no_ports_here",
    says: "source port 40112 is not free for a session to 10.96.0.7:1234 (EADDRINUSE)",
    next: "ss -tanp 'sport = :40112'",
  });
});

test("a flow is named by what is known of it", () => {
  const refusal = new Failure("refused");
  const flowOf = (own: string | null) =>
    only(problemsOf(seen([unconnected(0, refusal, { own: own === null ? null : end(own) })]))).flow;
  expect(flowOf("10.244.3.9:0")).toBe("tcp 10.244.3.9 > 10.96.0.7:1234");
  expect(flowOf("[fe80::1%eth0]:0")).toBe("tcp [fe80::1%eth0] > 10.96.0.7:1234");
  expect(flowOf(null)).toBeNull();
});

test("what to do next fits the name: Kubernetes knows Services, tcpdump knows addresses", () => {
  const nextOf = (name: string) =>
    only(problemsOf(seen([unconnected(0, new Failure("refused"))], { asked: { ...ASKED, name } }))).next;
  const slices = "kubectl get endpointslices";
  expect(nextOf("headless.echo")).toBe(`${slices} -n echo -l kubernetes.io/service-name=headless`);
  expect(nextOf("headless.echo.svc.cluster.local")).toBe(
    `${slices} -n echo -l kubernetes.io/service-name=headless`,
  );
  const capture = "tcpdump -ni any host 10.96.0.7 and tcp port 1234 and port 40000";
  for (const name of ["10.96.0.7", "localhost", "www.example.com", "fd00::7"]) {
    expect([name, nextOf(name)]).toEqual([name, capture]);
  }
});
