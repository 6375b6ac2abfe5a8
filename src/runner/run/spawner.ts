/** Has stages' processes started by a small process of its own, so that this one, which is large and busy, need not wait for each. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { launchHere } from './launch.ts';
import type { Launched, LaunchRequest, ProcessEnd } from './launch.ts';
import type { HelperAnswer, HelperRequest } from './spawn-messages.ts';

/** A run of few stages is over before the helper has started. */
const firstHere = 4;

interface Pending {
  readonly started: (launched: Launched) => void;
  readonly failed: (error: unknown) => void;
  readonly ended: (end: ProcessEnd) => void;
  readonly ends: Promise<ProcessEnd>;
}

/** The process that starts stages has ended, and with it the knowledge of how what it started goes on. */
export class SpawnerLost extends Error {}

export class Spawner {
  readonly #program: string;
  readonly #pending = new Map<number, Pending>();
  #helper: ChildProcess | null = null;
  #ready = false;
  #broken = false;
  #count = 0;

  /** `program`: the path of spawn-helper.js. */
  constructor(program: string) {
    this.#program = program;
  }

  async launch(request: LaunchRequest): Promise<Launched> {
    this.#count++;
    // A helper that cannot run is no trouble: it is not there in some odd installation, say.
    if (this.#count > firstHere && this.#helper === null && !this.#broken) this.#start();
    const helper = this.#helper;
    if (helper === null || !this.#ready) return await launchHere(request);
    const id = this.#count;
    return await new Promise<Launched>((started, failed) => {
      let ended: (end: ProcessEnd) => void = () => undefined;
      const ends = new Promise<ProcessEnd>(resolve => void (ended = resolve));
      this.#pending.set(id, { started, failed, ended, ends });
      this.#hold();
      const message: HelperRequest = { id, request };
      helper.stdin!.write(`${JSON.stringify(message)}\n`);
    });
  }

  /** Resolves when the helper has ended. */
  async close(): Promise<void> {
    const helper = this.#helper;
    this.#helper = null;
    this.#broken = true;
    if (helper === null || helper.exitCode !== null || helper.signalCode !== null) return;
    helper.ref();
    await new Promise<void>(resolve => {
      helper.once('exit', () => resolve());
      helper.once('error', () => resolve());
      helper.stdin!.end();
    });
  }

  #start(): void {
    // In a session of its own: what the terminal sends to this program's group is not meant for it.
    const helper = spawn(process.execPath, ['--max-semi-space-size=1', this.#program], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
    this.#helper = helper;
    helper.once('spawn', () => void (this.#ready = true));
    helper.once('error', () => this.#lose(helper, null));
    // `close`, not `exit`: what it said before it ended is read first.
    helper.once('close', (_, signal) => this.#lose(helper, signal));
    helper.stdin!.on('error', () => undefined);
    helper.unref();
    this.#hold();
    createInterface({ input: helper.stdout! }).on('line', line => this.#take(JSON.parse(line) as HelperAnswer));
  }

  #take(answer: HelperAnswer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    if ('pid' in answer) return pending.started({ pid: answer.pid, ended: pending.ends });
    this.#pending.delete(answer.id);
    this.#hold();
    if ('error' in answer) pending.failed(Object.assign(new Error(answer.error.message), answer.error));
    else pending.ended(answer.end);
  }

  /** Nothing but what it has been asked for keeps this process waiting for it. */
  #hold(): void {
    const output = this.#helper?.stdout as Socket | undefined;
    const input = this.#helper?.stdin as Socket | undefined;
    if (this.#pending.size > 0) output?.ref();
    else output?.unref();
    input?.unref();
  }

  /** Without it the rest is started from here. What it had started goes on, and nobody will learn how that ends. */
  #lose(helper: ChildProcess, signal: NodeJS.Signals | null): void {
    if (this.#helper !== helper) return;
    this.#helper = null;
    this.#ready = false;
    this.#broken = true;
    const lost = `how it ended is not known: the process that starts stages was ended${signal === null ? '' : ` by ${signal} from outside`}`;
    for (const { failed, ended } of this.#pending.values()) {
      failed(new SpawnerLost(lost));
      ended({ exitCode: null, signal: null, addedSeconds: null, lost });
    }
    this.#pending.clear();
  }
}
