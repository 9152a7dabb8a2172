import { resolveName } from "../../src/diagnose/resolve.ts";
import { formatEndpoint } from "../../src/net/endpoint.ts";

/** `bun names.ts NAME,FAMILY ...`: prints what the resolver of this machine says of each, as JSON; FAMILY is 4, 6 or 0. */
const said = [];
for (const word of process.argv.slice(2)) {
  const [name, family] = word.split(",");
  const resolution = await resolveName(name!, family === "4" ? 4 : family === "6" ? 6 : null);
  said.push(
    resolution.kind === "found"
      ? { ...resolution, addresses: resolution.addresses.map(formatEndpoint) }
      : resolution,
  );
}
console.log(JSON.stringify(said));
process.exit(0); // a lookup that was given up may be under way
