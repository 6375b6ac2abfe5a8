/** `--json`: every event as one JSON object a line. */
import type { Renderer } from '../run/event.ts';

export function createNdjsonRenderer(write: (text: string) => void): Renderer {
  return {
    handle: event => write(`${JSON.stringify(event)}\n`),
    close: async () => {},
  };
}
