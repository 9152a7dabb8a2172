/** What a server says of itself to other pages; it asks nobody for that, so asking does not go round. */
export const SELF_PATH = "/self.json";

/** Whom a container's own sessions were of, for the page of the container beside it; it asks nobody either. */
export const CLIENTS_PATH = "/clients.json";

/** The page and what belongs to it. */
export const PAGE_PATHS = [
  "/",
  "/page.json",
  SELF_PATH,
  CLIENTS_PATH,
  "/page.js",
  "/page.css",
  "/mesh.json",
] as const;
export type PagePath = (typeof PAGE_PATHS)[number];
