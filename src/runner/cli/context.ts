/** What a command gets from the program around it. */
import type { Command } from 'commander';

/** Facts about tensor backends that the runner needs and cannot know itself; handed in by `main.ts`. */
export interface BackendProbe {
  /** Names that `--backend` takes. */
  readonly names: readonly string[];
  /** Name and version of what a choice comes to on this machine; cheap. Throws PipeError (exit 3) when it is not there. */
  identity(choice: string): Promise<string>;
  /** Files that make the choice's native backend work on another machine of this kind, when they are copied there; null when there are none. `gpus`: whether it has any. */
  portable(choice: string, gpus: boolean): Promise<PortableBackend | null>;
}

export interface PortableBackend {
  readonly identity: string;
  /** What it is made for. */
  readonly device: 'cpu' | 'gpu';
  /** Place in the backend's folder → path here. The variable PIPE_BACKENDS names the folder's parent. */
  readonly files: ReadonlyMap<string, string>;
}

export interface CliContext {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder of the installed package, with `dist/`, `stages/`, `pipelines/`. */
  readonly packageRoot: string;
  readonly version: string;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly backends: BackendProbe;
  /** Every command of the program. */
  readonly commands: readonly CommandEntry[];
  /** Turns an expected error of the other half into a PipeError; gives back anything else as it is. */
  translate(error: unknown): unknown;
  /** Sets what the process ends with; the last call wins. */
  exit(code: number): void;
}

/** A command of the program. Registering declares its arguments; what it needs to work is imported when it runs. */
export interface CommandModule {
  readonly name: string;
  register(program: Command, context: CliContext): void;
}

/** What is known of a command before its module is loaded. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  load(): Promise<CommandModule>;
}
