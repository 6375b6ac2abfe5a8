/** Notices changes of the watched paths, and tells when it has been quiet for a moment. */
import { watch } from 'chokidar';
import type { FSWatcher } from 'chokidar';
import { dirname } from 'node:path';
import { isWatched, watchRoots } from './watched-paths.ts';
import type { WatchedPaths } from './watched-paths.ts';

/** Editors write in several steps: a change counts once they have been quiet for so long. */
const quietMs = 120;

export class FileWatch {
  readonly #skip: (path: string) => boolean;
  #watcher: FSWatcher | null = null;
  #shown = '';
  #timer: NodeJS.Timeout | null = null;
  #changed = false;
  #wake: (() => void) | null = null;
  #onQuiet: (() => void) | null = null;

  /** `skip`: paths that never count, such as the cache. */
  constructor(skip: (path: string) => boolean) {
    this.#skip = skip;
  }

  /**
   * Watches these from now on. A change between the reading of a pipeline and this moment would be lost, so new paths
   * count as a change themselves.
   */
  async follow(paths: WatchedPaths): Promise<void> {
    const roots = watchRoots(paths);
    const shown = JSON.stringify([[...paths.files].sort(), [...paths.folders].sort(), [...roots].sort()]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    // Missing files are waited for in the nearest folder there is: what leads to them has to be let through.
    const leading = new Set<string>();
    for (const file of paths.files) for (let above = dirname(file); above !== dirname(above) && !leading.has(above); above = dirname(above)) leading.add(above);
    const ignored = (path: string): boolean => this.#skip(path) || !(roots.has(path) || leading.has(path) || isWatched(paths, path));
    const next = watch([...roots], { ignoreInitial: true, ignored });
    next.on('all', (_event, path) => {
      if (isWatched(paths, path)) this.#note();
    });
    next.on('error', () => undefined); // a folder that went away: what was in it is told by its parent
    await new Promise<void>(resolve => next.once('ready', () => resolve()));
    await this.#watcher?.close();
    this.#watcher = next;
    this.#note();
  }

  /** Called whenever something changed and it is quiet again, until another is set; null: `next` tells it. */
  set onQuiet(listener: (() => void) | null) {
    this.#onQuiet = listener;
  }

  /** Resolves with null once something has changed and it is quiet again, or with the signal's name when told to stop. */
  async next(stop: AbortSignal): Promise<string | null> {
    while (!stop.aborted && !this.#changed) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
        stop.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    this.#wake = null;
    this.#changed = false;
    return stop.aborted ? String(stop.reason) : null;
  }

  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    await this.#watcher?.close();
  }

  #note(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#changed = true;
      this.#onQuiet?.();
      this.#wake?.();
    }, quietMs);
  }
}
