import { expect, test } from "bun:test";
import { endpointSlicesOf, routeTo, traceUdp } from "../../src/diagnose/check/commands.ts";
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

test("the way to a link-local address is asked for by its interface", () => {
  expect(routeTo(end("[fe80::1%eth0]:5678"))).toBe("ip route get fe80::1 oif eth0");
  expect(routeTo(end("10.0.0.1:5678"))).toBe("ip route get 10.0.0.1");
});
