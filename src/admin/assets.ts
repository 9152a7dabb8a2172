import { bundled } from "../page/bundle.ts" with { type: "macro" };

/** What the page loads from here: all that it needs, and nothing from elsewhere. */
export interface Asset {
  readonly contentType: string;
  readonly body: string;
}

/** `/page.js`: a classic script, to be deferred. */
export const PAGE_SCRIPT: Asset = {
  contentType: "text/javascript; charset=utf-8",
  body: await bundled("browser/main.ts"),
};

/** `/page.css` */
export const PAGE_STYLE: Asset = {
  contentType: "text/css; charset=utf-8",
  body: await bundled("page.css"),
};
