import { expect, test } from "bun:test";
import { endpointSlicesOf, traceUdp } from "../../src/diagnose/check/next.ts";
import { end } from "./fixtures.ts";

test("a Service is looked at by its name, in its namespace", () => {
  const of = (service: string, where = ""): string =>
    `kubectl get endpointslices${where} -l kubernetes.io/service-name=${service}`;
  expect(endpointSlicesOf("echo-server")).toBe(of("echo-server"));
  expect(endpointSlicesOf("echo-server.test")).toBe(of("echo-server", " -n test"));
  expect(endpointSlicesOf("echo-server.test.svc")).toBe(of("echo-server", " -n test"));
  expect(endpointSlicesOf("echo-server.test.svc.cluster.local.")).toBe(of("echo-server", " -n test"));
});

test("what is no Service has no such command, and nothing gets into a shell that is none of its words", () => {
  for (const name of [
    "10.96.0.7",
    "fd00::1",
    "localhost",
    "www.example.com",
    "a;reboot",
    "a.b;c",
    "",
    "-l",
  ]) {
    expect([name, endpointSlicesOf(name)]).toEqual([name, null]);
  }
});

test("an end is traced by its own port", () => {
  expect(traceUdp(end("[fe80::1%eth0]:7"))).toBe("mtr --report --no-dns --udp --port 7 fe80::1%eth0");
});
