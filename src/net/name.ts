/**
 * A name of a Pod, a node or a host: as Kubernetes has them (RFC 1123), with the capitals and underscores that hosts' names
 * may have. What somebody says of itself may stand in labels, JSON and HTML: nothing else is taken for a name.
 */
export const OBJECT_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;
