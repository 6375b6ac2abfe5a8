import { hostname } from 'node:os';

/** Whether a host that an event names is this machine: then it is not worth saying. */
export const isHere = (host: string): boolean => host === 'local' || host === hostname();
