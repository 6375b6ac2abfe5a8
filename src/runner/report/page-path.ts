import { join } from 'node:path';

/** Where `pipe run` writes the page of a pipeline. */
export const pagePath = (cache: string, pipeline: string): string => join(cache, 'report', `${pipeline}.html`);
