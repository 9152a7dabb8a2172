/** Addresses, for everything that is neither the rules nor an engine. */
export * from "../rules/address.ts";
