import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { PROJECT } from "./k8s/render.ts";

/** The image's root without building the image: the binary, glibc's five files, and nothing else. */

/** Where Debian and Ubuntu have glibc: elsewhere there is nothing to make that root of. */
const [libc] = new Bun.Glob("lib/*-linux-gnu/libc.so.6").scanSync({ cwd: "/", followSymlinks: true });

test.skipIf(libc === undefined)(
  "the binary runs on what scripts/minimal-root copies: it echoes, looks names up, says that it is ready, checks a path, and ends",
  async () => {
    const root = await mkdtemp("/tmp/echo-root-");
    try {
      await Bun.$`${join(PROJECT, "scripts/minimal-root")} / ${root}`;
      await Bun.$`${join(PROJECT, "scripts/compile")} "" ${join(root, "usr/local/bin/echo-server")}`.quiet();
      await Bun.$`chmod 755 ${root} && mkdir ${root}/proc ${root}/dev`;
      // As in a container: a resolver's file from outside, /proc and /dev.
      await Bun.write(
        join(root, "etc/resolv.conf"),
        "nameserver 127.0.0.1\nsearch echo-server.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n",
      );
      const script = `ip link set lo up && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec "$2" "$3" "$1" 10.9.8.7`;
      const inside = join(PROJECT, "test/binary/in-root.ts");
      const child = Bun.spawn(
        ["unshare", "--net", "--mount", "sh", "-c", script, "sh", root, process.execPath, inside],
        { stdout: "pipe", stderr: "pipe" },
      );
      const [out, err, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      expect({ err, code }).toEqual({ err: "", code: 0 });
      expect(JSON.parse(out)).toEqual({
        echo: true,
        named: true,
        health: "ready\n",
        checked: 0,
        exitCode: 0,
      });
    } finally {
      await rm(root, { recursive: true });
    }
  },
);
