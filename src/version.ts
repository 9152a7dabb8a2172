import { version } from "../package.json";

/** The commit this was built from: `bun build --define BUILD_COMMIT='"..."'` puts it in. */
declare const BUILD_COMMIT: string | undefined;

export { version };

/** `0.1.0 (Bun 1.4.5, commit 1a2b3c4)`, without the commit where nobody said. */
export function versionText(): string {
  const commit = typeof BUILD_COMMIT === "string" ? `, commit ${BUILD_COMMIT}` : "";
  return `echo-server ${version} (Bun ${Bun.version}${commit})`;
}
