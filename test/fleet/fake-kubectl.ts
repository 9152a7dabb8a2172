import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MAIN } from "../harness.ts";
import { listOf } from "./objects.ts";

/**
 * A kubectl that tells of objects that a test has made up. What it is to run in a Pod it runs on this machine, or does
 * what the test says happens in that Pod.
 */
export class FakeKubectl implements Disposable {
  readonly folder = mkdtempSync("/tmp/echo-fleet-");
  readonly path = join(this.folder, "kubectl");

  constructor() {
    this.script("kubectl", SCRIPT);
    for (const kind of ["pods", "services", "networkpolicies"]) this.objects(kind, []);
    this.namespace("echo-server");
  }

  /** What `get KIND` prints. */
  objects(kind: string, items: readonly object[]): void {
    writeFileSync(join(this.folder, `${kind}.json`), listOf(items));
  }

  /** `get KIND` does that instead. */
  get(kind: string, script: string): void {
    this.script(`get-${kind}`, `#!/bin/sh\n${script}\n`);
  }

  /** The namespace that all objects are in. */
  namespace(name: string, current = name): void {
    writeFileSync(join(this.folder, "namespace"), name);
    writeFileSync(join(this.folder, "current"), current);
  }

  /** What `exec POD` does in place of running the program; its words are its arguments. */
  inPod(pod: string, script: string): void {
    this.script(`exec-${pod}`, `#!/bin/sh\n${script}\n`);
  }

  /** All that it was asked, a line each. */
  async asked(): Promise<string[]> {
    return (await Bun.file(join(this.folder, "asked")).text()).trim().split("\n");
  }

  script(name: string, text: string): void {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    chmodSync(path, 0o755);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

const SCRIPT = `#!/bin/sh
dir=$(dirname "$0")
echo "$*" >>"$dir/asked"
case $1 in --context=*) shift ;; esac
case $1 in
config) cat "$dir/current" ;;
get)
  kind=$2
  if [ -x "$dir/get-$kind" ]; then exec "$dir/get-$kind" "$@"; fi
  case "$* " in
  *" -n $(cat "$dir/namespace") "*) cat "$dir/$kind.json" ;;
  *) echo '{"items": []}' ;;
  esac
  ;;
exec)
  pod=$2
  while [ "$1" != -- ]; do shift; done
  shift
  if [ -x "$dir/exec-$pod" ]; then exec "$dir/exec-$pod" "$@"; fi
  shift
  exec ${process.execPath} ${MAIN} "$@"
  ;;
*) echo "error: unknown command $1" >&2; exit 1 ;;
esac
`;
