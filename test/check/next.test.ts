import { expect, test } from "bun:test";
import {
  captureSyns,
  captureTcp,
  captureUdp,
  endpointSlicesOf,
  routeTo,
  sessionsTo,
  tcpSocketsAt,
  traceUdp,
  udpSocketsAt,
} from "../../src/diagnose/check/next.ts";
import { wrap } from "../../src/diagnose/layout.ts";
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

test("every command can be pasted as the report prints it, however long addresses are", () => {
  const target = end("[fd00:1111:2222:3333:4444:5555:6666:7777]:31234");
  const commands = [
    captureTcp(target, { ...target, port: 40_112 }),
    captureSyns(target.port),
    tcpSocketsAt(40_112),
    sessionsTo(target),
    traceUdp(target),
    routeTo(target),
    udpSocketsAt(31_234),
    captureUdp(31_234),
  ];
  for (const command of commands) {
    const printed = wrap(command, "    next  ", " ".repeat(12), " \\").join("\n").replace("next", "");
    expect(wordsOf(printed)).toEqual(wordsOf(command));
  }
});

/** As a shell reads a command. */
function wordsOf(command: string): string[] {
  const { stdout } = Bun.spawnSync(["sh", "-c", `printf '%s\\n' ${command.trim()}`]);
  return stdout.toString().split("\n");
}
