import { expect, test } from "bun:test";
import { proberPage } from "../../src/admin/mesh/page.ts";
import { parseEndpoint } from "../../src/net/endpoint.ts";
import { QUESTION } from "./probe-fixtures.ts";

/** What a prober's page has beside its matrix. */

test("its commands name the Pod's namespace, since whoever copies them may be in another", async () => {
  const page = proberPage(
    {
      ...{ name: "server1-abc", node: "node1", question: QUESTION, podAdminPorts: [] },
      admin: () => parseEndpoint("127.0.0.1:8082"),
      ready: () => ({ ok: true, text: "ready" }),
    },
    () => Promise.reject(new Error("nobody asks for a mesh")),
    { inCluster: true, namespace: "echo-two" },
  );
  const { commands, namespace, identity } = await page.facts();
  expect(commands.map(({ text }) => text)).toEqual([
    "echo-server fleet --namespace echo-two",
    "kubectl port-forward --namespace echo-two pod/server1-abc 8082",
  ]);
  expect(namespace).toBe("echo-two");
  expect(identity).toContainEqual(["Namespace", "echo-two"]);
});
