import { PAGE_PATHS, type PagePath } from "./page-paths.ts";
import type { PageRoutes, PageSource } from "./page-routes.ts";
import type { Route } from "./routes.ts";

/** Routes of a page that costs nothing, not even its code, until somebody asks for it. @param source loads whose it is */
export function pageWhenAsked(source: () => Promise<PageSource>): Readonly<Record<PagePath, Route>> {
  let loading: Promise<PageRoutes> | null = null;
  const load = async (): Promise<PageRoutes> => {
    const [{ pageRoutes }, whose] = await Promise.all([import("./page-routes.ts"), source()]);
    return pageRoutes(whose);
  };
  const routes = PAGE_PATHS.map((path): [PagePath, Route] => [
    path,
    async (request) => {
      loading ??= load();
      return (await loading)[path](request);
    },
  ]);
  return Object.fromEntries(routes) as Record<PagePath, Route>;
}
