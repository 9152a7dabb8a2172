import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import {
  cleanEnvironment,
  type EchoServer,
  type Finished,
  MAIN,
  run,
  ServerProcess,
  startServer,
  until,
} from "../harness.ts";
import { FakeKubectl } from "./fake-kubectl.ts";
import { ownService, podObject, serviceObject } from "./objects.ts";
import { FLEET_REPORT } from "./schema.ts";

/** The command as a person runs it, on a fleet that is one real server at several loopback addresses. */

let server: EchoServer;
beforeAll(async () => {
  server = await startServer(["--host", "0.0.0.0"]);
});
afterAll(() => server[Symbol.asyncDispose]());

let kubectl: FakeKubectl;
beforeEach(() => {
  kubectl = new FakeKubectl();
});
afterEach(() => kubectl[Symbol.dispose]());

const ports = (): { tcpPort: number; udpPort: number } => ({
  tcpPort: server.tcpPort!,
  udpPort: server.udpPort!,
});

const member = (number: number, more: object = {}): object =>
  podObject({
    name: `server${number}`,
    node: `node${number}`,
    ip: `127.0.0.${number}`,
    hostIp: `127.0.0.${number + 10}`,
    instance: `server${number}`,
    named: false,
    ...ports(),
    ...more,
  });

/** Two servers, a Service, one for each of them, NodePorts: all of it well. */
function goodFleet(members = [member(1), member(2)]): void {
  const { tcpPort, udpPort } = ports();
  kubectl.objects("pods", members);
  const service = (name: string, ip: string): object => serviceObject({ name, ip, tcpPort, udpPort });
  kubectl.objects("services", [
    service("echo-server", "127.0.0.9"),
    serviceObject({ name: "headless", ip: "None" }),
    serviceObject({ name: "nodes", type: "NodePort", local: true, nodePorts: [tcpPort, udpPort] }),
    ...[1, 2].map((number) => ({
      ...ownService(`server${number}`, `127.0.0.2${number}`),
      ...portsOf(number),
    })),
  ]);
}

/** The same Service at the ports that the server has. */
function portsOf(number: number, last = 20 + number): object {
  const { spec } = serviceObject({ name: "x", ip: `127.0.0.${last}`, ...ports() }) as { spec: object };
  return { spec: { ...spec, selector: { "app.kubernetes.io/instance": `server${number}` } } };
}

function fleet(args: readonly string[] = [], options = {}): Promise<Finished> {
  return run(["fleet", "--kubectl", kubectl.path, ...args], options);
}

async function report(
  args: readonly string[] = [],
): Promise<{ exitCode: number; report: z.infer<typeof FLEET_REPORT> }> {
  const { exitCode, stdout, stderr } = await fleet([...args, "--json"]);
  expect(stderr).toBe("");
  return { exitCode, report: FLEET_REPORT.parse(JSON.parse(stdout)) };
}

const oneLine = (text: string): string => text.replace(/\s+/g, " ");

describe("a fleet that is well", () => {
  test("says so in the first line, shows the matrix, exits 0, is 100 columns wide", async () => {
    goodFleet();
    const { exitCode, stdout, stderr } = await fleet();
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^all well: \d+ questions from 2 servers on 2 nodes and from outside;/);
    expect(stdout).toMatch(
      /\nby Pod address\n.*from \/ to +server1 +server2\n +server1 \(node1\) +\. +ok [\d.]+ \/ ok [\d.]+\n/,
    );
    expect(stdout).toMatch(/\nby a Service\n.*echo-server +itself\n/);
    expect(stdout).toMatch(/\n +outside +ok [\d.]+ \/ ok [\d.]+ +ok/);
    expect(stdout).not.toContain("\x1b");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("JSON has every cell once, those that nobody can ask as null and why", async () => {
    goodFleet();
    const { exitCode, report: found } = await report();
    expect([exitCode, found.ok, found.family, found.problems]).toEqual([0, true, 4, []]);
    const texts = found.cells.map(({ from, to, way, protocol }) => `${from} ${to} ${way} ${protocol}`);
    expect(new Set(texts).size).toBe(texts.length);
    const asked = (way: string): number =>
      found.cells.filter((cell) => cell.way === way && cell.ok === true).length;
    expect(["pod", "name", "service", "nodeport", "self"].map(asked)).toEqual([4, 0, 4, 8, 4]);
    const open = found.cells.filter(({ ok }) => ok === null).map(({ why }) => why);
    expect([...new Set(open)].sort()).toEqual([
      "it has no name of its own: it is of a pool, or of a DaemonSet",
      "only NodePorts are reachable from outside the cluster",
      "with externalTrafficPolicy: Local another node's port is for those outside: a Pod's answer may come past that node",
    ]);
  });

  test("is asked by one exec a Pod that looks and one that checks, by the version that the fleet has", async () => {
    goodFleet();
    await fleet(["--context", "prod", "--mtu"]);
    const asked = await kubectl.asked();
    expect(asked.every((line) => line.startsWith("--context=prod "))).toBe(true);
    const execs = asked.filter((line) => line.includes(" exec "));
    expect(execs).toHaveLength(4);
    for (const line of execs)
      expect(line).toMatch(/ exec server[12] -n echo-server -c tcp -- echo-server check /);
    expect(execs.filter((line) => / -4 --flows=10 .* --mtu --json$/.test(line))).toHaveLength(2);
  });

  test("--junit writes a case for each cell", async () => {
    goodFleet();
    const file = join(kubectl.folder, "fleet.xml");
    const { report: found } = await report(["--junit", file]);
    const xml = await Bun.file(file).text();
    expect(xml.match(/<testcase /g)).toHaveLength(found.cells.length);
    expect(xml).toContain(`tests="${found.cells.length}" failures="0"`);
  });

  test("--no-outside leaves this machine out", async () => {
    goodFleet();
    const { report: found } = await report(["--no-outside"]);
    expect(found.cells.some(({ from }) => from === "outside")).toBe(false);
  });

  test("where it is: kubectl's namespace, else echo-server, or where --namespace says", async () => {
    goodFleet();
    kubectl.namespace("echo-server", "default");
    expect((await report()).report.namespace).toBe("echo-server");
    kubectl.namespace("team-a", "team-a");
    expect((await report()).report.namespace).toBe("team-a");
    kubectl.namespace("team-b", "default");
    expect((await report(["-n", "team-b"])).report.namespace).toBe("team-b");
  });
});

describe("what is wrong is said once", () => {
  test("a member that nobody reaches, and what failed alone again", async () => {
    goodFleet([member(1), member(2, { tcpPort: 1, udpPort: 1 })]);
    const { exitCode, stdout } = await fleet(["--no-outside"]);
    expect(exitCode).toBe(1);
    expect(stdout).toStartWith("not well: ");
    const { report: found } = await report(["--no-outside"]);
    expect(found.ok).toBe(false);
    const failing = found.cells.filter(({ ok }) => ok === false);
    expect(failing.map(({ from, to, way, protocol }) => `${from} ${to} ${way} ${protocol}`)).toEqual([
      "server1 server2 pod tcp",
      "server1 server2 pod udp",
    ]);
    expect(found.problems).toHaveLength(1);
    const [problem] = found.problems;
    expect(problem).toMatchObject({ code: "refused" });
    expect(problem!.flow).toMatch(/^tcp 127\.0\.0\.1:\d+ > 127\.0\.0\.2:1$/);
    const file = join(kubectl.folder, "before.json");
    await Bun.write(file, JSON.stringify(found));
    const again = await report(["--failed-from", file]);
    expect(again.exitCode).toBe(1);
    expect(again.report.cells.map(({ from, to }) => `${from} ${to}`)).toEqual([
      "server1 server2",
      "server1 server2",
    ]);
    goodFleet();
    expect((await report(["--failed-from", file])).exitCode).toBe(0);
    goodFleet([member(1)]);
    const gone = await report(["--failed-from", file]);
    expect(gone.report.cells.map(({ why }) => why)).toEqual([
      "it failed before, and is no part of the fleet any more",
      "it failed before, and is no part of the fleet any more",
    ]);
    expect(gone.exitCode).toBe(1);
  });

  test("a next step is for the same cluster by the same kubectl, as a shell takes it", async () => {
    goodFleet([member(1), member(2, { tcpPort: 1, udpPort: 1 })]);
    const { report: found } = await report(["--no-outside", "--context", "it's prod"]);
    const asked = (await kubectl.asked()).length;
    const [problem] = found.problems;
    expect(problem!.next).toStartWith(`${kubectl.path} '--context=it'\\''s prod' `);
    await Bun.$`sh -c ${problem!.next!}`.quiet().nothrow();
    expect((await kubectl.asked())[asked]).toStartWith("--context=it's prod exec server1 -n echo-server ");
  });

  test("an echo that another member gave is not passed over", async () => {
    // Each one's own Service leads to server1's address.
    goodFleet();
    const services = [1, 2].map((number) => ({
      ...ownService(`server${number}`, "127.0.0.1"),
      ...portsOf(number, 1),
    }));
    kubectl.objects("services", services);
    const { report: found } = await report(["--no-outside"]);
    expect(found.notes).toEqual([
      "asked for itself through a Service of its own (hairpin), server1 answered: seen from server2",
    ]);
  });

  test("names that do not resolve", async () => {
    goodFleet([member(1, { named: true }), member(2, { named: true })]);
    const { report: found } = await report(["--no-outside"]);
    expect(found.problems).toMatchObject([{ code: "no_such_name", says: "nothing passes by name" }]);
  });

  test("a policy that forbids what fails", async () => {
    goodFleet([member(1, { tcpPort: 1, udpPort: 1 }), member(2, { tcpPort: 1, udpPort: 1 })]);
    const deny = {
      metadata: { name: "default-deny" },
      spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
    };
    kubectl.objects("networkpolicies", [deny]);
    const { stdout } = await fleet(["--no-outside"]);
    // By the Service, too, all would be forbidden: that it works shows that nobody enforces it, so it is not accused.
    expect(stdout).not.toContain("default-deny");
    kubectl.objects("services", []);
    const found = await fleet(["--no-outside"]);
    expect(oneLine(found.stdout)).toStartWith(
      "not well: NetworkPolicy default-deny forbids it: nothing passes",
    );
    expect(found.stdout).toContain("kubectl describe networkpolicy default-deny -n echo-server");
  });

  test("policies that may not be read are not known, and that is said", async () => {
    goodFleet();
    kubectl.get(
      "networkpolicies",
      `echo 'Error from server (Forbidden): networkpolicies is forbidden' >&2; exit 1`,
    );
    const { exitCode, stdout } = await fleet(["--no-outside"]);
    expect(exitCode).toBe(0);
    expect(oneLine(stdout)).toContain(
      "NetworkPolicies of echo-server may not be read: none can be named as a cause",
    );
  });
});

describe("who cannot be asked", () => {
  const cases: readonly (readonly [what: string, script: string, says: string])[] = [
    [
      "no right to exec",
      `echo 'Error from server (Forbidden): pods "x" is forbidden: User "u" cannot create resource "pods/exec"' >&2; exit 1`,
      "no right to enter Pods (kubectl auth can-i create pods/exec -n echo-server)",
    ],
    [
      "an image that has no check yet",
      `echo 'echo-server: unknown command or argument "check"; allowed: serve, health (see --help)' >&2
       echo 'command terminated with exit code 2' >&2; exit 2`,
      "its image has no check: it is echo-server 0.1.0; a later one has",
    ],
    [
      "a node that is gone",
      `echo 'Error from server: error dialing backend: dial tcp 10.89.0.12:10250: connect: no route to host' >&2; exit 1`,
      "kubectl cannot enter it: error dialing backend: dial tcp 10.89.0.12:10250: connect: no route to host",
    ],
    [
      "a container that is down",
      `echo 'error: Internal error occurred: unable to upgrade connection: container not found ("tcp")' >&2; exit 1`,
      "its container tcp is not running",
    ],
    [
      "a Pod that has just gone",
      `echo 'Error from server (NotFound): pods "server2" not found' >&2; exit 1`,
      'kubectl cannot enter it: pods "server2" not found',
    ],
    [
      "an image of something else",
      `echo 'error: Internal error occurred: exec: "echo-server": executable file not found in $PATH' >&2; exit 1`,
      "its container tcp has no echo-server",
    ],
    [
      "a check that is killed",
      `[ "$3" = --help ] && exit 0; echo 'command terminated with exit code 137' >&2; exit 137`,
      "check was killed in the Pod: is its memory limit wide enough for a second process?",
    ],
    [
      "a check that says something else",
      `[ "$3" = --help ] && exit 0; echo '{"tool": "other"}'`,
      "check failed there: exit code 0",
    ],
  ];
  for (const [what, script, says] of cases) {
    test(`${what}: one line, and the others are asked`, async () => {
      goodFleet();
      kubectl.inPod("server2", script);
      const { exitCode, stdout } = await fleet(["--no-outside"]);
      expect(exitCode).toBe(0);
      const text = oneLine(stdout);
      expect(text).toStartWith("well as far as it was measured, which server2 could not be asked for: ");
      const told = says.replace("(kubectl ", `(${kubectl.path} `);
      expect(text).toContain(`not measured from server2: ${told}`);
      expect(text.split(told)).toHaveLength(2);
    });
  }

  test("a kubelet that never answers costs seconds, and what others see of its Pod counts", async () => {
    goodFleet();
    kubectl.inPod("server2", "exec sleep 1000");
    const { exitCode, stdout } = await fleet(["--no-outside"]);
    expect(exitCode).toBe(0);
    expect(oneLine(stdout)).toContain("from server2: kubectl exec had no answer in 8.00 s: is node2 there?");
    expect(stdout).toMatch(/server1 \(node1\) +\. +ok/);
  });

  test("no right to exec anywhere: the nodes' ports are asked from here all the same", async () => {
    goodFleet();
    for (const number of [1, 2]) kubectl.inPod(`server${number}`, cases[0]![1]);
    const { exitCode, report: found } = await report();
    expect(exitCode).toBe(0);
    expect(found.cells.filter(({ ok }) => ok !== null).map(({ from }) => from)).toEqual(
      Array(4).fill("outside"),
    );
    const nothing = await fleet(["--no-outside"]);
    expect(nothing.exitCode).toBe(1);
    expect(nothing.stdout).toStartWith("nothing was measured");
  });

  test("a fleet whose Pods all leave is not well", async () => {
    goodFleet([member(1, { leaving: true }), member(2, { leaving: true })]);
    kubectl.objects("services", []);
    for (const args of [["--no-outside"], []]) {
      const { exitCode, stdout } = await fleet(args);
      expect(exitCode).toBe(1);
      expect(stdout).toStartWith("nothing was measured");
      expect(oneLine(stdout)).toContain("not asked, since 2 Pods of it leave: server1 and server2");
    }
  });

  test("a report without failures leaves nothing to ask, and that is well", async () => {
    goodFleet();
    const file = join(kubectl.folder, "before.json");
    await Bun.write(file, JSON.stringify((await report(["--no-outside"])).report));
    const { exitCode, stdout } = await fleet(["--failed-from", file]);
    expect(exitCode).toBe(0);
    expect(stdout).toStartWith("nothing to ask: no question failed before");
  });

  test("Pods of somebody else's echo-server are no fleet", async () => {
    goodFleet();
    const other = JSON.stringify({
      items: [
        {
          metadata: { name: "echo-server-abc", labels: { "app.kubernetes.io/name": "echo-server" } },
          spec: { containers: [{ name: "web", ports: [{ name: "http", containerPort: 80 }] }] },
          status: { phase: "Running", podIP: "127.0.0.1" },
        },
      ],
    });
    kubectl.namespace("echo-server", "default");
    kubectl.get(
      "pods",
      `case "$*" in *"-n default "*) echo '${other}' ;; *) cat ${kubectl.folder}/pods.json ;; esac`,
    );
    expect((await report(["--no-outside"])).report.namespace).toBe("echo-server");
  });

  test("a kubectl that has a word of its own to say on stdout is understood", async () => {
    goodFleet();
    kubectl.get("services", `echo 'Welcome {you}'; cat ${kubectl.folder}/services.json; echo; echo bye`);
    expect((await report(["--no-outside"])).exitCode).toBe(0);
  });

  test("a Pod that is pending is part of the fleet, and not asked", async () => {
    goodFleet([member(1), member(2, { phase: "Pending", ip: undefined, ready: false })]);
    const { stdout } = await fleet(["--no-outside"]);
    expect(oneLine(stdout)).toContain("it has no IPv4 address: Pending: 0/3 nodes are available");
    expect(oneLine(stdout)).toContain("note not ready: server2");
  });
});

describe("nobody to ask is one line on stderr and exit code 1", () => {
  async function complaint(args: readonly string[] = []): Promise<string> {
    const { exitCode, stdout, stderr } = await fleet(args);
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    return stderr.trimEnd();
  }

  test("no kubectl", async () => {
    expect(await complaint(["--kubectl", "/nowhere/kubectl"])).toBe(
      "echo-server: /nowhere/kubectl cannot be run (ENOENT): fleet asks the cluster by the kubectl of this machine; --kubectl names another",
    );
  });

  test("no cluster", async () => {
    kubectl.get(
      "pods",
      `echo 'E1126 05:00:00.0 1 memcache.go:265] "Unhandled Error" err="refused"' >&2
       echo 'The connection to the server localhost:8080 was refused - did you specify the right host or port?' >&2; exit 1`,
    );
    expect(await complaint()).toBe(
      "echo-server: kubectl cannot ask the cluster: The connection to the server localhost:8080 was refused - did you specify the right host or port?",
    );
  });

  test("the line that tells why, not the advice after it", async () => {
    const advice = "echo; echo 'To learn more, see:'; echo '    https://kubernetes.io/docs/'";
    const why = "Unable to connect to the server: getting credentials: exec: executable aws not found";
    kubectl.get("pods", `{ echo '${why}'; ${advice}; } >&2; exit 1`);
    expect(await complaint()).toBe(`echo-server: kubectl cannot ask the cluster: ${why}`);
    kubectl.get("pods", `{ echo 'error: unknown flag: --x'; echo "See 'kubectl get --help'."; } >&2; exit 1`);
    expect(await complaint()).toBe("echo-server: kubectl cannot ask the cluster: unknown flag: --x");
  });

  test("a login that waits for a person", async () => {
    kubectl.get("pods", "echo 'To sign in, open https://login.example and enter ABCD' >&2; exec sleep 1000");
    expect(await complaint()).toBe(
      "echo-server: kubectl cannot ask the cluster: no answer in time: To sign in, open https://login.example and enter ABCD",
    );
  });

  test("what kubectl logs while it tries is no answer", async () => {
    const log = `E1126 06:20:00.0 1 memcache.go:265] "Unhandled Error" err="no route to host"`;
    kubectl.get("pods", `echo '${log}' >&2; exec sleep 1000`);
    expect(await complaint()).toBe("echo-server: kubectl cannot ask the cluster: no answer in time");
    kubectl.get("pods", `echo '${log}' >&2; exit 1`);
    expect(await complaint()).toEndWith('the cluster: "Unhandled Error" err="no route to host"');
  });

  test("a cluster that does not answer", async () => {
    kubectl.get("pods", "exec sleep 1000");
    expect(await complaint()).toBe("echo-server: kubectl cannot ask the cluster: no answer in time");
  });

  test("no right to look", async () => {
    kubectl.get(
      "pods",
      `echo 'Error from server (Forbidden): pods is forbidden: User "u" cannot list' >&2; exit 1`,
    );
    expect(await complaint()).toStartWith(
      `echo-server: no right to read pods in namespace echo-server (${kubectl.path} auth can-i list pods -n echo-server): `,
    );
  });

  test("no fleet", async () => {
    kubectl.namespace("elsewhere", "default");
    expect(await complaint()).toBe(
      `echo-server: no fleet in namespace default and echo-server: ${kubectl.path} apply -k k8s/overlays/dev makes one, --namespace names another place`,
    );
  });

  test("something else than objects", async () => {
    kubectl.get("pods", "echo hello");
    expect(await complaint()).toStartWith(
      "echo-server: kubectl get pods prints something else than expected:",
    );
  });

  test("a file to write that cannot be", async () => {
    goodFleet();
    expect(await complaint(["--no-outside", "--junit", "/nowhere/fleet.xml"])).toStartWith(
      "echo-server: --junit /nowhere/fleet.xml cannot be written: ",
    );
  });
});

test("a report to ask again that is none is a wrong command line", async () => {
  const file = join(kubectl.folder, "no.json");
  await Bun.write(file, "{}");
  for (const path of [file, "/nowhere.json"]) {
    const { exitCode, stderr } = await fleet(["--failed-from", path]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("allowed: a file that fleet --json wrote");
  }
});

test("a signal ends it with 130 and without a word", async () => {
  goodFleet();
  kubectl.inPod("server2", "exec sleep 1000");
  await using child = new ServerProcess(["fleet", "--kubectl", kubectl.path]);
  await until("it has begun to ask", async () =>
    (await kubectl.asked().catch(() => [])).some((line) => line.startsWith("exec")),
  );
  expect(await child.stop("SIGINT")).toEqual({ exitCode: 130, stdout: "", stderr: "" });
});

test("what a kubectl that is a script has started ends with it", async () => {
  goodFleet();
  const pidFile = join(kubectl.folder, "pid");
  kubectl.inPod("server2", `sleep 1000 & echo $! >>${pidFile}; wait`);
  const started = async (): Promise<number[]> =>
    (
      await Bun.file(pidFile)
        .text()
        .catch(() => "")
    )
      .split("\n")
      .filter(Boolean)
      .map(Number);
  await using child = new ServerProcess(["fleet", "--kubectl", kubectl.path]);
  await until("it has begun to ask", async () => (await started()).length > 0);
  await child.stop("SIGTERM");
  const [pid] = await started();
  await until("it has ended", () => !isRunning(pid!));
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test("on a terminal it shows how far it is, and nothing of it stays", async () => {
  goodFleet();
  kubectl.inPod("server2", `[ "$3" = --help ] && exec sleep 4; exit 1`);
  const shown = { text: "" };
  const decoder = new TextDecoder();
  const child = Bun.spawn([process.execPath, MAIN, "fleet", "--no-outside", "--kubectl", kubectl.path], {
    env: { ...cleanEnvironment({ NO_COLOR: undefined, TERM: "xterm" }) },
    terminal: {
      cols: 120,
      rows: 40,
      data(_terminal, bytes) {
        shown.text += decoder.decode(bytes, { stream: true });
      },
    },
  });
  await child.exited;
  await until("the report is shown", () => shown.text.includes("not measured"));
  expect(shown.text).toMatch(/\d+ % {2}\d+ s {2}1 of 2 asked/);
  expect(shown.text).toContain("\x1b[1;32mwell as far as it was measured");
});
