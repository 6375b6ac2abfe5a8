/** Where cells run besides this machine: the entries of `pipe.hosts.yaml`, with their defaults. */
export interface SshPlace {
  readonly kind: 'ssh';
  /** `user@box`, or a name of ssh's own configuration. */
  readonly destination: string;
  readonly port: number | null;
  /** Path of a private key. */
  readonly key: string | null;
  readonly jump: string | null;
  /** Options of ssh, as in `-o NAME=VALUE`. */
  readonly options: Readonly<Record<string, string>>;
}

/** `here`: a cluster whose commands this machine has. */
export type Place = SshPlace | { readonly kind: 'here' };

export interface SlurmSettings {
  readonly partition: string | null;
  readonly account: string | null;
  readonly qos: string | null;
  readonly modules: readonly string[];
  /** A command put before the job's, such as `apptainer exec --nv image.sif`. */
  readonly container: string | null;
  readonly array: boolean;
  /** How many cells one task runs at most, one after the other; `auto`: as many as their history makes some seconds of. */
  readonly pack: number | 'auto';
  /** More options of sbatch. */
  readonly options: readonly string[];
}

export interface HostSettings {
  readonly name: string;
  readonly place: Place;
  readonly slurm: SlurmSettings | null;
  /** Work folder there; `~` is the home there. */
  readonly folder: string;
  readonly slots: number;
  /** Outputs up to so many bytes come here when a cell has ended; larger ones when somebody needs them. */
  readonly pullBytes: number;
  /** Checkpoints up to so many bytes go along when a cell moves from there or to there. */
  readonly checkpointBytes: number;
  /** How long a host that does not answer is waited for, in milliseconds. */
  readonly patienceMs: number;
  /** Shell text run there before anything else. */
  readonly setup: string | null;
  /** Path of a Node there; null: one is sent, or that on PATH is used where this machine's would not run. */
  readonly node: string | null;
  /** Facts for the keys of stages that list them under `platform:`. */
  readonly platform: { readonly os: string | null; readonly backend: string | null };
  /** Command → first line of its `--version`, for stages with `interpreter:`. */
  readonly interpreters: Readonly<Record<string, string>>;
  /** Own resources: name → amount. */
  readonly resources: Readonly<Record<string, number>>;
}

export interface Hosts {
  /** The file that was read; null when there is none. */
  readonly file: string | null;
  readonly entries: ReadonlyMap<string, HostSettings>;
}
